terraform {
  required_version = ">= 1.11.0, < 2.0.0"
  required_providers {
    hcloud = {
      source = "hetznercloud/hcloud"
      # 1.58 is the first that puts addresses into a location. The API has known no datacenters of servers and addresses
      # since July 2026, and older ones ask for them.
      version = ">= 1.58.0, < 2.0.0"
    }
  }
}

# Its token comes from HCLOUD_TOKEN and is in no file and no state.
provider "hcloud" {}
