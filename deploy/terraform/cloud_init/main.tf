# What the host does when it starts for the first time. A module of its own, without a provider: so it is rendered and
# tested without a cloud.

variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "feed" {
  type = string
}

variable "volume_id" {
  type = string
}

variable "volume_gb" {
  type = number
}

variable "secrets" {
  type    = set(string)
  default = []
}

locals {
  repository = "${path.module}/../../.."
  volume     = "/srv/l3book"
  needed     = concat(var.environment == "dev" ? [] : ["tls.crt", "tls.key"], sort(var.secrets))

  # As Compose reads it, from the folder it is started in.
  env = <<-EOT
    COMPOSE_PROJECT_NAME=l3book
    COMPOSE_FILE=docker-compose.yml:environment.yml:host.yml
    L3BOOK_IMAGE=${var.image}
    L3BOOK_SOURCE=${var.feed}
    L3BOOK_SECRETS=${local.volume}/secrets
    L3BOOK_HISTORY_BYTES_MAX=${var.volume_gb * 800000000}
  EOT

  files = {
    "/opt/l3book/docker-compose.yml"     = [file("${local.repository}/docker-compose.yml"), "0644"]
    "/opt/l3book/environment.yml"        = [file("${local.repository}/deploy/environments/${var.environment}/compose.yml"), "0644"]
    "/opt/l3book/host.yml"               = [templatefile("${path.module}/host.yml.tftpl", { image = var.image, volume = local.volume, secrets = sort(var.secrets) }), "0644"]
    "/opt/l3book/.env"                   = [local.env, "0600"]
    "/usr/local/bin/l3book"              = [file("${path.module}/l3book"), "0755"]
    "/etc/systemd/system/l3book.service" = [templatefile("${path.module}/l3book.service.tftpl", { volume = local.volume, needed = local.needed, image = var.image }), "0644"]
    # Only its owner's keys let anybody in.
    "/etc/ssh/sshd_config.d/10-l3book.conf" = ["PasswordAuthentication no\nPermitRootLogin prohibit-password\n", "0644"]
  }

  cloud_config = {
    package_update  = true
    package_upgrade = true
    packages        = ["docker.io", "docker-cli", "docker-compose", "unattended-upgrades"]
    ssh_pwauth      = false
    write_files = [
      for path, file in local.files : { path = path, content = base64gzip(file[0]), encoding = "gz+b64", permissions = file[1] }
    ]
    runcmd = [
      # Not by cloud-init's `mounts`, which leaves out what is not attached yet. systemd waits for it, however long: were the
      # mount given up, the service would be, too.
      ["sh", "-c", "echo '/dev/disk/by-id/scsi-0HC_Volume_${var.volume_id} ${local.volume} ext4 noatime,nofail,x-systemd.device-timeout=infinity 0 2' >>/etc/fstab"],
      ["mkdir", "-p", local.volume],
      ["systemctl", "daemon-reload"],
      ["systemctl", "reload-or-restart", "ssh.service"],
      ["systemctl", "enable", "--now", "docker.service"],
      ["systemctl", "enable", "l3book.service"],
      ["systemctl", "start", "--no-block", "l3book.service"],
    ]
  }
}

output "user_data" {
  value = "#cloud-config\n${yamlencode(local.cloud_config)}"

  precondition {
    condition     = length("#cloud-config\n${yamlencode(local.cloud_config)}") <= 32768
    error_message = "The user data is longer than the 32 KiB that the cloud takes: expected shorter compose files."
  }
}

output "needed" {
  description = "Files that have to be in /srv/l3book/secrets before the server starts."
  value       = local.needed
}
