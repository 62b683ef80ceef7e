// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// LostError is an error that came out of a connection to the database: it was cut, reset, or closed by a server that
// died. The connections of Open and Connect mark their errors so. A plain error of the io package, of a socket or of
// the system says nothing about the database: files, peers and parsers return the same ones.
type LostError struct{ Err error }

func (e *LostError) Error() string {
	return "the connection to the database was lost: " + e.Err.Error()
}

// Unwrap returns what the connection returned.
func (e *LostError) Unwrap() error { return e.Err }

// Trouble says why the database can't do what it was asked, through no fault of who asked: the same can be done when
// that has passed.
type Trouble struct {
	Reason string        // a sentence's text, and what to do
	Retry  time.Duration // when it is worth trying again
	away   bool          // it doesn't answer at all
}

func (t *Trouble) Error() string { return t.Reason }

// Passes reports whether it may pass without help, or be corrected elsewhere: what ADIT was told of the database may be
// right.
func (t *Trouble) Passes() bool { return t != refused && t != unknown }

// Away reports whether the database doesn't answer, or is going down.
func (t *Trouble) Away() bool { return t.away }

const (
	soon  = 2 * time.Second  // for what passes without help
	later = 30 * time.Second // for what somebody has to see to
)

var (
	doesntAnswer = &Trouble{"the database doesn't answer", soon, true}
	refused      = &Trouble{"the database doesn't let ADIT in; its log says why", later, true}
	unknown      = &Trouble{"the server has no such database; it may have been renamed or removed", later, true}
	broken       = &Trouble{"the database can't read or write its files; its log says why", later, false}
)

// troubles are told by SQLSTATE, and by the first two characters of it.
var troubles = map[string]*Trouble{
	"53100": {"the database's disk is full; make room there, and ADIT continues automatically", later, false},
	"53200": {"the database is out of memory", later, false},
	"53300": {"the database takes no more connections (max_connections)", soon, true},
	"53":    {"the database is out of resources; its log says which", later, false},
	"55P03": {"something else holds a lock in the database; perhaps a backup or a schema change is running", soon, false},
	"57014": {"the database took too long, and ADIT gave up", later, false},
	"25006": {"the database is read-only; it may be a standby, or set to read-only", later, false},
	"25P03": doesntAnswer, // ADIT stood still within a transaction, and the session was ended
	"40001": {"others changed the same rows of the database again and again", soon, false},
	"40P01": {"others changed the same rows of the database again and again", soon, false},
	"57P03": {"the database is starting or stopping", soon, true},
	"57P":   doesntAnswer,
	"08":    doesntAnswer,
	"28":    refused,
	"3D000": unknown,
	"58":    broken,
	"F0":    broken,
	"XX001": {"the database has damaged data; its log says where", later, false},
	"XX002": {"the database has a damaged index; its log says which", later, false},
}

// TroubleOf returns what the database's trouble is, nil if an error says nothing of the kind. This is the only place
// that judges errors of the database; it does so by where they come from.
func TroubleOf(err error) *Trouble {
	if t, ok := errors.AsType[*Trouble](err); ok {
		return t
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		for n := len(pg.Code); n >= 2; n-- {
			if t := troubles[pg.Code[:n]]; t != nil {
				return t
			}
		}
	}
	if _, ok := errors.AsType[*LostError](err); ok {
		return doesntAnswer
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return doesntAnswer
	}
	// One that is safe to retry was not sent: the time was over before the database was asked.
	if pgconn.Timeout(err) && !pgconn.SafeToRetry(err) {
		return doesntAnswer
	}
	return nil
}

// markErrors makes the connections of a configuration mark their errors, above TLS.
func markErrors(cfg *pgconn.Config) {
	build := cfg.BuildFrontend
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return build(
			markedReader{r}, markedWriter{w},
		)
	}
}

type markedReader struct{ r io.Reader }

func (m markedReader) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	return n, marked(err)
}

type markedWriter struct{ w io.Writer }

func (m markedWriter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	return n, marked(err)
}

// marked leaves deadlines alone: pgx sets them itself. It gives no io.EOF away, which a reader would take for the end
// of what it reads.
func marked(err error) error {
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return &LostError{err}
}

// Removed reports whether a request failed because something that it needs was removed at the same moment: a row that
// was there when it was looked up is not there any more.
func Removed(err error) bool {
	return Violates(err, ForeignKeyViolation) || errors.Is(err, pgx.ErrNoRows)
}

// SQLSTATEs of constraints that two requests at once can violate though each has looked before.
const (
	UniqueViolation     = "23505"
	ForeignKeyViolation = "23503"
)

// Violates reports whether the database refused a change with a SQLSTATE.
func Violates(err error, sqlstate string) bool {
	fault, is := errors.AsType[*pgconn.PgError](err)
	return is && fault.Code == sqlstate
}
