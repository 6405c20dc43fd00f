locals {
  login = "root@${hcloud_primary_ip.host["ipv4"].ip_address}"
}

output "address" {
  description = "Where the host is, now and after it was replaced."
  value       = hcloud_primary_ip.host["ipv4"].ip_address
}

output "next" {
  description = "What is left to do by hand, since secrets are in no state."
  value = join("\n", compact([
    "ssh ${local.login} cloud-init status --wait",
    length(module.cloud_init.needed) > 0 ? "scp ${join(" ", module.cloud_init.needed)} ${local.login}:/srv/l3book/secrets/" : "",
    var.environment != "dev" ? "ssh ${local.login} l3book keys create --name desk" : "",
    "ssh ${local.login} systemctl restart l3book",
  ]))
}
