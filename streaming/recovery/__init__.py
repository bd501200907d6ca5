"""The checkpoint of a job, the messages that it sets aside, and the cause of a failure."""
