"""What a channel account is, what a sender answers, what an inbound mail says."""
