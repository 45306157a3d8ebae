// Package deploy is what Segue is shipped with: the playbook that the demo and
// segue replay use when they are given no other.
package deploy

import "embed"

// Playbook is the name of the shipped playbook in Files.
const Playbook = "playbook.yaml"

// Files are the playbook and its templates.
//
//go:embed playbook.yaml templates
var Files embed.FS
