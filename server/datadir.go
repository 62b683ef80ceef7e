// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/files"
)

// folderRoots returns the directories in which staff may add folders. The one that is there by default is made.
func (s *server) folderRoots() ([]string, error) {
	if roots := s.cfg.FolderRoots; len(roots) > 0 {
		if err := nodes.CheckFolderRoots(roots, s.cfg.DataDir); err != nil {
			return nil, usage("--folder-root: %v", err)
		}
		return roots, nil
	}
	root := filepath.Join(s.cfg.DataDir, nodes.OwnFolders)
	if err := os.MkdirAll(root, 0o750); err != nil {
		return nil, fmt.Errorf("the directory for folders can't be made (%w); name another one with --folder-root", err)
	}
	return []string{root}, nil
}

// openDataDir makes the data directory, locks it for this process, and gives its identity.
func (s *server) openDataDir() (uuid.UUID, error) {
	dir := s.cfg.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return uuid.Nil, fmt.Errorf("the data directory can't be made (%w); choose another one with --data-dir", err)
	}
	if err := checkOwn(dir); err != nil {
		return uuid.Nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "adit.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return uuid.Nil, fmt.Errorf("the data directory can't be used (%w); choose another one with --data-dir", err)
	}
	if taken, err := files.Lock(f); err != nil {
		_ = f.Close()
		if taken {
			return uuid.Nil, fmt.Errorf("another ADIT runs in %s; stop it, or choose another --data-dir", dir)
		}
		return uuid.Nil, fmt.Errorf("the data directory can't be locked: %w", err)
	}
	s.atEnd(func() { _ = f.Close() }) // closing unlocks; there is nothing to lose
	if err := checkDemoDir(dir, s.cfg.Demo); err != nil {
		return uuid.Nil, err
	}
	return dataDirID(dir)
}

// checkOwn refuses a data directory that others may change, itself or what is in it but folders of studies.
func checkOwn(dir string) error {
	if err := files.CheckOwnDir(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("the data directory can't be used (%w); choose another one with --data-dir", err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != nodes.OwnFolders {
			if err := files.CheckOwnDir(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// dataDirID reads the identity of a data directory, which is made at its first use.
func dataDirID(dir string) (uuid.UUID, error) {
	path := filepath.Join(dir, "id")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		id := uuid.New()
		return id, files.WritePrivate(path, id.String()+"\n")
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("the data directory's identity can't be read: %w", err)
	}
	id, err := uuid.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return uuid.Nil, fmt.Errorf("%s is damaged: it must contain a UUID; remove it, and ADIT makes a new one", path)
	}
	return id, nil
}
