environment   = "staging"
server_type   = "ccx13"
volume_gb     = 20
feed          = "synthetic:?instruments=8&rate=50000"
client_ranges = ["10.0.0.0/8"] # the office's own
# image comes from whoever deploys: -var image=NAME:TAG
