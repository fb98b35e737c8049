"""The load on a stack on AWS: machines in the regions of its users, driven through Systems Manager."""
