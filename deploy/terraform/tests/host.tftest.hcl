# deploy/terraform/check runs this once for each environment, with its deploy/environments/NAME/terraform.tfvars.
# Plans only: what prevents the volume's destruction would prevent the end of a test, too.

mock_provider "hcloud" {
  override_during = plan

  mock_resource "hcloud_volume" {
    defaults = { id = "4711" }
  }
  mock_resource "hcloud_primary_ip" {
    defaults = { id = "11", ip_address = "192.0.2.1" }
  }
  mock_resource "hcloud_firewall" {
    defaults = { id = "12" }
  }
  mock_resource "hcloud_server" {
    defaults = { id = "13" }
  }
}

variables {
  ssh_keys   = ["desk"]
  ssh_ranges = ["198.51.100.0/24"]
  feed       = "tcp://feed.example:9000"
  image      = "l3book@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "host" {
  command = plan

  assert {
    condition     = hcloud_server.host[0].server_type == var.server_type && hcloud_server.host[0].image == "debian-13"
    error_message = "The host is not of the size and system that the variables say."
  }
  assert {
    condition     = strcontains(hcloud_server.host[0].name, var.environment) && hcloud_server.host[0].labels.environment == var.environment
    error_message = "The host does not say of which environment it is."
  }
  assert {
    condition     = tolist(hcloud_server.host[0].public_net)[0].ipv4 == 11
    error_message = "The host has not the address that stays."
  }
  assert {
    condition     = toset([hcloud_server.host[0].location, hcloud_volume.history.location, hcloud_primary_ip.host["ipv4"].location, hcloud_primary_ip.host["ipv6"].location]) == toset([var.location])
    error_message = "Host, volume and addresses are not in one place, and cannot be attached to each other."
  }
  assert {
    condition     = hcloud_server.host[0].shutdown_before_deletion
    error_message = "The host is killed where it should end."
  }
}

run "history" {
  command = plan

  assert {
    condition     = hcloud_volume.history.delete_protection && hcloud_volume.history.format == "ext4" && hcloud_volume.history.size == var.volume_gb
    error_message = "The volume is not protected, or not as large as the variables say."
  }
  assert {
    condition     = hcloud_volume_attachment.history[0].volume_id == 4711 && hcloud_volume_attachment.history[0].server_id == 13
    error_message = "The volume is not attached to the host."
  }
  assert {
    condition     = strcontains(module.cloud_init.user_data, "/dev/disk/by-id/scsi-0HC_Volume_4711 /srv/l3book")
    error_message = "The host does not mount the volume."
  }
}

run "firewall" {
  command = plan

  assert {
    condition     = toset([for rule in hcloud_firewall.host.rule : rule.port]) == toset(length(var.client_ranges) > 0 ? ["22", "443"] : ["22"])
    error_message = "Other ports are open than SSH and, for clients, 443."
  }
  assert {
    condition     = alltrue([for rule in hcloud_firewall.host.rule : rule.direction == "in" && rule.protocol == "tcp"])
    error_message = "A rule is not for incoming TCP."
  }
  assert {
    condition     = alltrue([for rule in hcloud_firewall.host.rule : toset(rule.source_ips) == toset(rule.port == "22" ? var.ssh_ranges : var.client_ranges)])
    error_message = "A port is open for others than the variables say."
  }
  assert {
    condition     = contains(hcloud_server.host[0].firewall_ids, 12)
    error_message = "The firewall is not the host's."
  }
}

run "gone" {
  command = plan
  variables {
    running = false
  }

  assert {
    condition     = length(hcloud_server.host) == 0 && length(hcloud_volume_attachment.history) == 0
    error_message = "The host is still there."
  }
  assert {
    condition     = hcloud_volume.history.delete_protection && length(hcloud_primary_ip.host) == 2
    error_message = "The volume or the addresses went with the host."
  }
}

run "ssh_from_everywhere" {
  command = plan
  variables {
    ssh_ranges = ["0.0.0.0/0"]
  }
  expect_failures = [var.ssh_ranges]
}

run "ranges_that_are_none" {
  command = plan
  variables {
    client_ranges = ["everywhere"]
  }
  expect_failures = [var.client_ranges]
}

run "environment_that_is_none" {
  command = plan
  variables {
    environment = "production"
  }
  expect_failures = [var.environment]
}

run "image_of_prod_by_its_tag" {
  command = plan
  variables {
    environment   = "prod"
    client_ranges = []
    image         = "l3book:latest"
  }
  expect_failures = [var.image]
}

run "dev_for_everybody" {
  command = plan
  variables {
    environment   = "dev"
    client_ranges = ["0.0.0.0/0"]
  }
  expect_failures = [var.client_ranges]
}

run "feed_that_breaks_out" {
  command = plan
  variables {
    feed = "tcp://a:1\nL3BOOK_ALLOW_UNAUTHENTICATED=1"
  }
  expect_failures = [var.feed]
}

run "secrets_of_nats" {
  command = plan
  variables {
    feed    = "nats://nats.example:4222/MARKET?shard=0"
    secrets = ["L3BOOK_NATS_CREDENTIALS"]
  }

  assert {
    condition     = contains(module.cloud_init.needed, "L3BOOK_NATS_CREDENTIALS")
    error_message = "The host does not wait for the credentials."
  }
}

run "datacenter_for_a_location" {
  command = plan
  variables {
    location = "fsn1-dc14"
  }
  expect_failures = [var.location]
}

run "secret_that_is_none" {
  command = plan
  variables {
    secrets = ["PASSWORD"]
  }
  expect_failures = [var.secrets]
}
