"""This machine as the services need it: Java, ports, processes, folders and signals."""
