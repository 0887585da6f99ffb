bind_to_activated_sockets "only"
threads 1, 5
workers 0
