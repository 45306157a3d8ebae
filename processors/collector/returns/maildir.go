package returns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lookEvery is how often the mailbox is looked into.
const lookEvery = 5 * time.Second

// readMaildir takes mails from a Maildir as they come (cr.yp.to/proto/maildir.html):
// one that was brought in moves from new to cur, as seen.
func (o *Office) readMaildir(ctx context.Context, maildir string) error {
	for _, dir := range []string{"new", "cur"} {
		if info, err := os.Stat(filepath.Join(maildir, dir)); err != nil || !info.IsDir() {
			return fmt.Errorf("returns: mailbox %s: got no folder %s, want a Maildir: %w", maildir, dir, err)
		}
	}
	for {
		if err := o.emptyMaildir(ctx, maildir); err != nil && ctx.Err() == nil {
			o.Log.Warn("mails that came back wait in their mailbox", "maildir", maildir, "cause", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookEvery):
		}
	}
}

// emptyMaildir brings in what lies there now.
func (o *Office) emptyMaildir(ctx context.Context, maildir string) error {
	all, err := os.ReadDir(filepath.Join(maildir, "new"))
	if err != nil {
		return err
	}
	for _, entry := range all {
		if ctx.Err() != nil {
			return nil
		}
		path := filepath.Join(maildir, "new", entry.Name())
		if info, err := entry.Info(); err != nil || !info.Mode().IsRegular() {
			continue
		} else if info.Size() > MaxBody {
			o.count("mail", "unreadable")
			o.Log.Warn("a mail is too large to be a report", "file", path, "bytes", info.Size())
		} else if err := o.bringFile(ctx, path); err != nil {
			return err
		}
		err := os.Rename(path, filepath.Join(maildir, "cur", entry.Name()+":2,S"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // another collector was faster
			return err
		}
	}
	return nil
}

// bringFile brings in one file.
func (o *Office) bringFile(ctx context.Context, path string) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = o.mail(ctx, raw)
	}
	if errors.Is(err, errUnreadable) {
		o.Log.Warn("a mail in the mailbox cannot be read", "file", path, "cause", err)
		return nil
	}
	return err
}
