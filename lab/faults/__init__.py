"""Faults put on a running lab under load, and the proof from the clients' records that nothing was lost."""
