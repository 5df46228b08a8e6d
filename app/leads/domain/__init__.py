"""What a lead is: identities, stages, and what may be refused."""
