// Package deploy is what Segue is shipped with. Of it the binary holds the
// playbook that the demo and segue replay use when they are given no other.
//
//	playbook.yaml, templates → playbook.ReadFS → demo, replay
//	compose.yaml, Dockerfile   all of it on one machine
//	prometheus, grafana        what to watch; runbook.md: what to do then
//	consumers                  what a downstream team begins with
//	kafka                      a broker for tests
//
// Not obvious: segue.yaml changes nothing. It is every default, explained, and a
// test holds it and the code together. So do tests for what the others name:
// metrics, settings, files, errors.
package deploy

import "embed"

// Playbook is the name of the shipped playbook in Files.
const Playbook = "playbook.yaml"

// Files are the playbook and its templates.
//
//go:embed playbook.yaml templates
var Files embed.FS
