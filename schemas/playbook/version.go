package playbook

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"segue/schemas"
)

// maxSize bounds a version: it travels as one record.
const maxSize = 900 << 10

// ReadFS returns the playbook at name and the templates in the folder templates
// beside it.
func ReadFS(fsys fs.FS, name string) (yaml []byte, files map[string][]byte, err error) {
	if yaml, err = fs.ReadFile(fsys, name); err != nil {
		return nil, nil, err
	}
	found, err := fs.Glob(fsys, path.Join(path.Dir(name), templates, "*.html"))
	if err != nil {
		return nil, nil, fmt.Errorf("list templates beside %s: %w", name, err)
	}
	files = make(map[string][]byte)
	for _, f := range found {
		if files[path.Base(f)], err = fs.ReadFile(fsys, f); err != nil {
			return nil, nil, err
		}
	}
	return yaml, files, nil
}

// hash returns the first 12 hex digits of the SHA-256 of all that a version is
// made of, each part with its length before it.
func hash(yaml []byte, files map[string][]byte) string {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	part(yaml)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		part([]byte(name))
		part(files[name])
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// Message returns the version as the topic playbooks carries it, under the key
// Version.
func (pb *Playbook) Message() *schemas.PlaybookVersion {
	_, version, _ := strings.Cut(pb.Version, "@")
	return &schemas.PlaybookVersion{Id: pb.ID, Version: version, Yaml: pb.yaml, Files: pb.Files}
}

// FromMessage returns the version that a record of the topic playbooks carries.
func FromMessage(m *schemas.PlaybookVersion) (*Playbook, error) {
	key := m.GetId() + "@" + m.GetVersion()
	pb, err := Parse(key, m.GetYaml(), m.GetFiles())
	if err != nil {
		return nil, fmt.Errorf("playbook %s: %w", key, err)
	}
	if pb.Version != key {
		return nil, fmt.Errorf("playbook %s: got the content of %s, want its own", key, pb.Version)
	}
	return pb, nil
}
