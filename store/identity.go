package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

const identityFile = "id" // in the store's directory

// identity reads the directory's UUID, and gives it one when it has none. The caller holds the journal's lock.
func identity(dir string) (string, error) {
	path := filepath.Join(dir, identityFile)
	b, err := os.ReadFile(path)
	if err == nil {
		id, err := uuid.Parse(strings.TrimSpace(string(b)))
		if err != nil {
			return "", fmt.Errorf("read %s: %w (remove the file, and the store gets a new identity)", path, err)
		}
		return id.String(), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := uuid.NewString()
	// Written aside and renamed, so that a crash leaves no half of it.
	if err := os.WriteFile(path+".new", []byte(id+"\n"), 0o644); err != nil {
		return "", err
	}
	return id, os.Rename(path+".new", path)
}
