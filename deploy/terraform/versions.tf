terraform {
  required_version = ">= 1.11.0, < 2.0.0"
  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "1.57.0"
    }
  }
}

# Its token comes from HCLOUD_TOKEN and is in no file and no state.
provider "hcloud" {}
