# One host that runs docker-compose.yml with the overlay of its environment, and a volume that outlives it.

locals {
  name   = "l3book-${var.environment}"
  labels = { app = "l3book", environment = var.environment }
}

# `terraform destroy` is refused because of it, and so is a plan that would make another one. To take the host away:
# `terraform apply -var running=false`. docs/deploy.md says how to part with the history for good.
resource "hcloud_volume" "history" {
  name              = "${local.name}-history"
  location          = var.location
  size              = var.volume_gb
  format            = "ext4"
  labels            = local.labels
  delete_protection = true

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = contains(["default", var.environment], terraform.workspace)
      error_message = "The workspace is ${terraform.workspace} and the environment ${var.environment}: expected the same, or one would become the other."
    }
  }
}

# The address stays, too: a new host is found where the old one was.
resource "hcloud_primary_ip" "host" {
  for_each          = toset(["ipv4", "ipv6"])
  name              = "${local.name}-${each.key}"
  type              = each.key
  location          = var.location
  assignee_type     = "server"
  auto_delete       = false
  delete_protection = true
  labels            = local.labels
}

# What is not named is closed. Outgoing traffic is open: to the feed, and to Debian and the image's registry.
resource "hcloud_firewall" "host" {
  name   = local.name
  labels = local.labels

  rule {
    description = "SSH"
    direction   = "in"
    protocol    = "tcp"
    port        = "22"
    source_ips  = var.ssh_ranges
  }

  dynamic "rule" {
    for_each = length(var.client_ranges) > 0 ? [var.client_ranges] : []
    content {
      description = "l3book, by TLS"
      direction   = "in"
      protocol    = "tcp"
      port        = "443"
      source_ips  = rule.value
    }
  }
}

module "cloud_init" {
  source      = "./cloud_init"
  environment = var.environment
  image       = var.image
  feed        = var.feed
  secrets     = var.secrets
  volume_id   = hcloud_volume.history.id
  volume_gb   = var.volume_gb
}

# Its user data cannot be changed: whatever changes in there (the image, a compose file) is a new host, a few minutes long
# without one. docs/deploy.md has the way without that for a new image.
resource "hcloud_server" "host" {
  count                    = var.running ? 1 : 0
  name                     = local.name
  location                 = var.location # of the volume and the addresses, too
  server_type              = var.server_type
  image                    = var.os_image
  ssh_keys                 = var.ssh_keys
  firewall_ids             = [hcloud_firewall.host.id]
  user_data                = module.cloud_init.user_data
  labels                   = local.labels
  delete_protection        = var.protected
  rebuild_protection       = var.protected
  shutdown_before_deletion = true # SIGTERM to the server, which then writes what it has

  public_net {
    ipv4 = hcloud_primary_ip.host["ipv4"].id
    ipv6 = hcloud_primary_ip.host["ipv6"].id
  }
}

# systemd on the host waits for it.
resource "hcloud_volume_attachment" "history" {
  count     = var.running ? 1 : 0
  volume_id = hcloud_volume.history.id
  server_id = hcloud_server.host[0].id
  automount = false
}
