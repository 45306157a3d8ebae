// Package deploy is what Segue is shipped with: the playbook that the demo and
// segue replay use when they are given no other.
//
//	playbook.yaml, templates → playbook.ReadFS → demo, replay
//
// Not obvious: segue.yaml changes nothing. It is every default, explained, and a
// test holds it and the code together.
package deploy

import "embed"

// Playbook is the name of the shipped playbook in Files.
const Playbook = "playbook.yaml"

// Files are the playbook and its templates.
//
//go:embed playbook.yaml templates
var Files embed.FS
