// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
)

// limit is how often something may be tried within a time, over all members of the cluster.
type limit struct {
	key    []byte
	max    int64
	window time.Duration
}

const (
	wrongMax    = 10 // passwords, for one account or from one address
	wrongWindow = 5 * time.Minute

	tokenMax = 100 // bad tokens from one address, within wrongWindow

	askMax    = 10 // registrations, or asks for a new password, from one address
	askForMax = 3  // asks for a new password for one account
	askWindow = time.Hour

	checkMax    = 30 // checks of DICOM nodes by one user
	checkWindow = 5 * time.Minute
)

// limitOf counts what is tried for a value. Only a hash of it is kept: people type passwords where their names belong.
func limitOf(what, value string, most int64, window time.Duration) limit {
	sum := sha256.Sum256([]byte(what + "\x00" + value))
	return limit{sum[:], most, window}
}

// passwordLimits count wrong passwords.
func passwordLimits(username, peer string) []limit {
	return []limit{
		limitOf("account", strings.ToLower(username), wrongMax, wrongWindow),
		limitOf("address", network(peer), wrongMax, wrongWindow),
	}
}

// network is what counts as one address: an IPv4 address, or the /64 that one subscriber of IPv6 has.
func network(peer string) string {
	addr, err := netip.ParseAddr(peer)
	if err != nil {
		ap, err := netip.ParseAddrPort(peer)
		if err != nil {
			return peer
		}
		addr = ap.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// try takes down a try under each limit before it is known how it ends, so that many at once are counted as well, and
// gives their numbers. *TooMany: one of the limits is reached, and nothing was taken down.
func (s *Service) try(ctx context.Context, limits ...limit) (ids []int64, err error) {
	// code that needs both keys locks them in the same order
	slices.SortFunc(limits, func(a, b limit) int { return bytes.Compare(a.key, b.key) })
	err = s.inTx(ctx, func(q *db.Queries) error {
		ids = nil
		for _, l := range limits {
			if err := q.LockLimit(ctx, l.key); err != nil {
				return err
			}
			tried, err := q.CountAttempts(ctx, db.CountAttemptsParams{WindowSeconds: l.window.Seconds(), Key: l.key})
			if err != nil {
				return err
			}
			if tried.N >= l.max {
				return tooMany(tried.WaitSeconds)
			}
			id, err := q.InsertAttempt(ctx, l.key)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return q.DeleteOldAttempts(ctx)
	})
	return ids, err
}

// CountJob takes down, in the caller's transaction, that a user makes a job. *TooMany: they made as many in the last
// hour as the settings allow. Jobs that were deleted count.
func (s *Site) CountJob(ctx context.Context, q *db.Queries, user User) error {
	settings, err := s.svc.Settings(ctx)
	if err != nil || settings.MaxJobsPerHour == 0 {
		return err
	}
	l := limitOf("job", strconv.FormatInt(user.ID, 10), int64(settings.MaxJobsPerHour), time.Hour)
	if err := q.LockLimit(ctx, l.key); err != nil {
		return err
	}
	made, err := q.CountAttempts(ctx, db.CountAttemptsParams{WindowSeconds: l.window.Seconds(), Key: l.key})
	if err != nil {
		return err
	}
	if made.N >= l.max {
		wait := time.Duration(math.Ceil(max(1, made.WaitSeconds))) * time.Second
		return &TooMany{Reason: fmt.Sprintf(
			"you made %d jobs within an hour, the most that one user may make; try again in %s", made.N, inWords(wait),
		), RetryAfter: wait}
	}
	_, err = q.InsertAttempt(ctx, l.key)
	return err
}

func tooMany(seconds float64) error {
	wait := time.Duration(math.Ceil(max(1, seconds))) * time.Second
	return &TooMany{Reason: fmt.Sprintf("too many attempts; try again in %s", inWords(wait)), RetryAfter: wait}
}

func inWords(d time.Duration) string {
	if d > 2*time.Minute {
		return fmt.Sprintf("%d minutes", int(math.Ceil(d.Minutes())))
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}

// LimitChecks counts a check of a DICOM node, which tests whether a host answers. *TooMany: this user made too many.
func (s *Site) LimitChecks(ctx context.Context, user User) error {
	_, err := s.svc.try(ctx, limitOf("check", strconv.FormatInt(user.ID, 10), checkMax, checkWindow))
	return err
}

// BadToken counts a token that was refused. *TooMany: there were too many from this address; good ones are not kept out
// by that.
func (s *Sessions) BadToken(ctx context.Context, peer string) error {
	_, err := s.svc.try(ctx, limitOf("token", network(peer), tokenMax, wrongWindow))
	return err
}
