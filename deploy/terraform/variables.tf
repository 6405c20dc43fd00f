variable "environment" {
  description = "dev, staging or prod: which deploy/environments/NAME/compose.yml the host runs."
  type        = string
  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment is ${var.environment}: expected dev, staging or prod."
  }
}

variable "running" {
  description = "false takes the host away and leaves the volume and the address."
  type        = bool
  default     = true
}

variable "image" {
  description = "Image of l3book; in prod by its digest."
  type        = string
  validation {
    condition     = var.environment != "prod" || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is ${var.image}: expected NAME@sha256:… in prod, so that what runs is what was scanned and signed."
  }
}

variable "feed" {
  description = "URI that the server reads from (L3BOOK_SOURCE, docs/feed.md). Secrets have no place in it."
  type        = string
  validation {
    condition     = can(regex("^[a-z]+:[^\\s'\"$]*$", var.feed))
    error_message = "feed is ${var.feed}: expected a URI such as tcp://HOST:PORT, without spaces, quotes and $."
  }
}

variable "location" {
  description = "Where host, volume and addresses are."
  type        = string
  default     = "fsn1"
  validation {
    condition     = can(regex("^[a-z]+[0-9]*$", var.location))
    error_message = "location is ${var.location}: expected the name of a location, such as fsn1."
  }
}

variable "server_type" {
  description = "Size of the host; one with cores of its own (ccx…) for a feed that is busy."
  type        = string
}

variable "os_image" {
  description = "Operating system of the host: a Debian with Docker and Compose in its packages."
  type        = string
  default     = "debian-13"
}

variable "volume_gb" {
  description = "Size of the volume for the history, GB. It can grow, not shrink."
  type        = number
  validation {
    condition     = var.volume_gb >= 10 && var.volume_gb <= 10240 && floor(var.volume_gb) == var.volume_gb
    error_message = "volume_gb is ${var.volume_gb}: expected a whole number from 10 to 10240."
  }
}

variable "ssh_keys" {
  description = "Names of SSH keys that the project knows and that may log in."
  type        = list(string)
  validation {
    condition     = length(var.ssh_keys) > 0
    error_message = "ssh_keys is empty: expected one, or nobody can bring the secrets."
  }
}

variable "ssh_ranges" {
  description = "Addresses from which SSH is let in, as CIDR."
  type        = list(string)
  validation {
    condition     = length(var.ssh_ranges) > 0 && alltrue([for range in var.ssh_ranges : can(cidrhost(range, 0)) && !endswith(range, "/0")])
    error_message = "ssh_ranges is ${jsonencode(var.ssh_ranges)}: expected ranges such as 192.0.2.0/24, and not the whole world."
  }
}

variable "client_ranges" {
  description = "Addresses from which port 443 is let in, as CIDR; none: nobody but through ssh."
  type        = list(string)
  validation {
    condition     = alltrue([for range in var.client_ranges : can(cidrhost(range, 0))])
    error_message = "client_ranges is ${jsonencode(var.client_ranges)}: expected ranges such as 192.0.2.0/24."
  }
  validation {
    condition     = var.environment != "dev" || length(var.client_ranges) == 0
    error_message = "client_ranges is ${jsonencode(var.client_ranges)}: expected none in dev, where the server asks for no key."
  }
}

variable "protected" {
  description = "The cloud refuses to delete or rebuild the host; its volume and address it never deletes."
  type        = bool
  default     = false
}

variable "secrets" {
  description = "Names of secrets of docs/configuration.md that are brought to the host as files, such as DATABENTO_API_KEY. Never what is in them."
  type        = set(string)
  default     = []
  validation {
    condition = length(setsubtract(var.secrets, [
      "DATABENTO_API_KEY",
      "L3BOOK_HISTORY_STORE_PASSWORD",
      "L3BOOK_NATS_CREDENTIALS",
      "L3BOOK_NATS_PASSWORD",
      "L3BOOK_NATS_TOKEN",
      "L3BOOK_NATS_USER",
    ])) == 0
    error_message = "secrets is ${jsonencode(var.secrets)}: expected names of secrets that docs/configuration.md has for a server, such as DATABENTO_API_KEY."
  }
}
