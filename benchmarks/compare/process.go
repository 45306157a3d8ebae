package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has taken so far, by Linux's account.
type usage struct {
	cpu     time.Duration // user and system
	rss     int64         // now, in bytes
	peak    int64         // the highest rss so far
	written int64         // bytes handed to disks
}

const tick = 10 * time.Millisecond // USER_HZ, the unit of /proc/PID/stat

func usageOf(pid int) (usage, error) {
	var u usage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The second field is a name in brackets, which may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		u.cpu += time.Duration(ticks) * tick
	}
	for file, wants := range map[string]map[string]*int64{
		"status": {"VmHWM:": &u.peak, "VmRSS:": &u.rss},
		"io":     {"write_bytes:": &u.written},
	} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			return u, err
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 2 || wants[f[0]] == nil {
				continue
			}
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return u, fmt.Errorf("read %s of process %d: %w", f[0], pid, err)
			}
			if len(f) > 2 { // kB
				n <<= 10
			}
			*wants[f[0]] = n
		}
	}
	return u, nil
}

// listener returns the process on this machine that listens at addr.
func listener(addr string) (pid int, err error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0, err
	}
	var sockets []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			const listening = "0A"
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) && f[3] == listening {
				sockets = append(sockets, "socket:["+f[9]+"]")
			}
		}
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		target, err := os.Readlink(file)
		if err != nil {
			continue // it has gone, or is not ours to look into
		}
		for _, s := range sockets {
			if target == s {
				return strconv.Atoi(strings.Split(file, "/")[2])
			}
		}
	}
	return 0, fmt.Errorf("no process here listens at %s: the broker must run on this machine, since its CPU time is measured (deploy/kafka/run)", addr)
}

// sizeOf is what a folder's files hold.
func sizeOf(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a store deletes files while it works
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
