// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
)

// sightPatience is how long a member looks at its folders: a look at a network folder whose server is away may hang.
const sightPatience = 2 * time.Second

// Sight finds out which folders this member sees. A folder at which a look hangs is not seen, and not looked at again
// before that ends.
type Sight struct {
	svc *Service
	see func(name string, f db.Folder) bool

	mu    sync.Mutex
	looks map[int64]bool // under way
}

// NewSight returns one that has not looked yet.
func (svc *Service) NewSight() *Sight {
	return &Sight{svc: svc, see: svc.Sees, looks: map[int64]bool{}}
}

// Look returns the folders that are seen now, in order.
func (s *Sight) Look(ctx context.Context) ([]int64, error) {
	rows, err := s.svc.Q.FoldersToSee(ctx)
	if err != nil {
		return nil, err
	}
	found := make(chan int64, len(rows)) // 0: not seen
	left := 0
	s.mu.Lock()
	for _, row := range rows {
		if s.looks[row.Folder.ID] {
			continue
		}
		s.looks[row.Folder.ID] = true
		left++
		go func() {
			seen := s.see(row.Name, row.Folder)
			s.mu.Lock()
			delete(s.looks, row.Folder.ID)
			s.mu.Unlock()
			if seen {
				found <- row.Folder.ID
			} else {
				found <- 0
			}
		}()
	}
	s.mu.Unlock()
	timer := time.NewTimer(sightPatience)
	defer timer.Stop()
	seen := []int64{}
	for ; left > 0; left-- {
		select {
		case id := <-found:
			if id != 0 {
				seen = append(seen, id)
			}
			continue
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		break
	}
	slices.Sort(seen)
	return seen, nil
}

// Sees reports whether a folder is there, and is the one that was set up, without writing anything.
func (svc *Service) Sees(name string, f db.Folder) bool {
	if svc.checkStill(name, f.Path, resolved(f.Path), f.Resolved) != nil {
		return false
	}
	root, at, err := openPath(f.Path)
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }() // only a handle
	if svc.checkStill(name, f.Path, at, f.Resolved) != nil {
		return false
	}
	if f.Marker == nil { // it has not been used since there are marker files
		return true
	}
	id, err := readMarker(root)
	return err == nil && id == *f.Marker
}

// whoElseSees says of a folder that can't be used here which members of the cluster see it.
func (svc *Service) whoElseSees(ctx context.Context, n DICOMNode, cause error) error {
	names, err := svc.Q.WhoSees(ctx, n.ID)
	if err != nil {
		return err
	}
	here := "The member of the cluster that was asked doesn't see this folder as it was set up: " + fault.ReasonOf(cause)
	if len(names) == 0 {
		return fmt.Errorf("%s. No other member sees it either, so its tasks wait", here)
	}
	return fmt.Errorf("%s. Its tasks run on the members that see it: %s", here, strings.Join(names, ", "))
}
