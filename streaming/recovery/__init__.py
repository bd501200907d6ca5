"""The checkpoint of a job, and the messages that it sets aside."""
