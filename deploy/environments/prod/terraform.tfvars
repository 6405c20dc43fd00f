environment   = "prod"
server_type   = "ccx23"
volume_gb     = 500
client_ranges = ["0.0.0.0/0", "::/0"]
protected     = true
# image (by its digest) and feed come from whoever deploys: -var image=NAME@sha256:… -var feed=tcp://…
