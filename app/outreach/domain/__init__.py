"""What a bulk send is, its plan, and what may be refused."""
