environment   = "dev"
server_type   = "cx23"
volume_gb     = 10
feed          = "synthetic:"
client_ranges = [] # nobody: it listens on loopback, and is reached through ssh
# image comes from whoever deploys: -var image=NAME:TAG
