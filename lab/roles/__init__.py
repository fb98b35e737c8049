"""What runs on the lab's machines: each module starts one kind of process and waits until it serves."""
