// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/people"
)

// Why the receiver turned a call away.
const (
	CallAddress      = "address"          // a server's AE title, from an address that is none of its own
	CallHost         = "host"             // as above, and nobody knows the addresses of the server's host
	CallPlain        = "without_tls"      // of a server that uses TLS
	CallCertificate  = "certificate"      // of another name than the server's
	CallHandshake    = "no_certificate"   // the TLS handshake failed: no certificate, or none that is trusted
	CallNotTLS       = "plain_to_tls"     // no TLS, at the listener for it
	CallTLS          = "tls_to_plain"     // TLS, at the listener without it
	CallCallingTitle = "calling_ae_title" // no server calls under it
	CallCalledTitle  = "called_ae_title"  // none of ours
)

// CallReasons returns why calls are turned away.
func CallReasons() []string {
	return []string{
		CallAddress, CallHost, CallPlain, CallCertificate, CallHandshake, CallNotTLS, CallTLS, CallCallingTitle, CallCalledTitle,
	}
}

const (
	maxCalls         = 1000 // kinds of calls that are counted apart between two times of writing down
	maxCallsOfNobody = 100  // of them, those that may be of no server

	callersOfServer  = 100 // rows that are kept of a server, and of nobody
	callersOfAddress = 8   // of them, those of one address
	callersKept      = 90  // days

	shownCalls   = 3 // in a message
	maxTitle     = 16
	callMargin   = time.Second     // between the clocks of this process and of the database
	callsTimeout = 5 * time.Second // for asking which calls were turned away
)

// RejectedCall is a call that the receiver turned away.
type RejectedCall struct {
	Server              string // name of the server that it may have been; empty: of none
	CallingAE, CalledAE string // as told: any bytes
	Address             string // without the port
	Reason              string
}

// RejectedCaller is a row of the list of such calls.
type RejectedCaller struct{ db.RejectedCaller }

// callers counts such calls until they are written down.
type callers struct {
	mu     sync.Mutex
	counts map[RejectedCall]*callTally
	nobody int // of counts
}

type callTally struct {
	calls       int64
	first, last time.Time
}

func newCallers() *callers { return &callers{counts: map[RejectedCall]*callTally{}} }

func (c *callers) add(call RejectedCall, t callTally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	full := len(c.counts) >= maxCalls || call.Server == "" && c.nobody >= maxCallsOfNobody
	if full && c.counts[call] == nil {
		call = RejectedCall{Server: call.Server, Reason: call.Reason}
	}
	known := c.counts[call]
	if known == nil {
		known = &callTally{first: t.first}
		c.counts[call] = known
		if call.Server == "" {
			c.nobody++
		}
	}
	known.calls += t.calls
	known.last = t.last
}

func (c *callers) take() map[RejectedCall]*callTally {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts, c.nobody = map[RejectedCall]*callTally{}, 0
	return counts
}

// CountRejected takes down a call that the receiver turned away.
func (e *Engine) CountRejected(call RejectedCall) {
	now := time.Now()
	call.CallingAE, call.CalledAE = titleText(call.CallingAE), titleText(call.CalledAE)
	if call.Reason != CallCalledTitle {
		call.CalledAE = "" // says nothing, and may be anything
	}
	e.callers.add(call, callTally{calls: 1, first: now, last: now})
}

// titleText makes an AE title of whatever came in the place of one: text that may be shown and kept.
func titleText(title string) string {
	title = strings.Trim(title, " ")
	if title == "" || validAE(title) {
		return title
	}
	text := []byte(title[:min(len(title), maxTitle)])
	for i, b := range text {
		if b < ' ' || b > '~' || b == '\\' {
			text[i] = '?'
		}
	}
	return string(text)
}

// noCertificate is what crypto/tls says where it asks for a certificate and gets none; it has no type for it.
const noCertificate = "didn't provide a certificate"

// HandshakeFault tells what kept a peer from asking for an association; empty if that isn't clear.
func HandshakeFault(err error) string {
	if connect, ok := errors.AsType[*ul.ConnectError](err); ok {
		var header tls.RecordHeaderError
		var certificate *tls.CertificateVerificationError
		switch {
		case errors.As(connect.Err, &header):
			return CallNotTLS
		case errors.As(connect.Err, &certificate), strings.Contains(connect.Err.Error(), noCertificate):
			return CallHandshake
		}
		return ""
	}
	if notDICOM, ok := errors.AsType[*ul.NotDICOMError](err); ok && notDICOM.Got == "TLS" {
		return CallTLS
	}
	return ""
}

// FlushRejected writes down which calls were turned away since the last time. What can't be written now is kept for the
// next time.
func (e *Engine) FlushRejected(ctx context.Context) error {
	counts := e.callers.take()
	if len(counts) == 0 {
		return nil
	}
	var failed error
	for call, t := range counts {
		err := e.q.CountRejectedCaller(ctx, db.CountRejectedCallerParams{
			Server: call.Server, CallingAe: call.CallingAE, CalledAe: call.CalledAE, Address: call.Address, Reason: call.Reason,
			Calls: t.calls, FirstAge: time.Since(t.first).Seconds(), LastAge: time.Since(t.last).Seconds(),
		})
		if err != nil {
			failed = err
			e.callers.add(call, *t)
		}
	}
	if failed != nil {
		return failed
	}
	return e.q.TrimRejectedCallers(ctx, db.TrimRejectedCallersParams{
		Days: callersKept, PerServer: callersOfServer, PerAddress: callersOfAddress,
	})
}

// RejectedCallers gives a page of who was turned away, the newest first: below the ID given (0: from the beginning). It is
// for staff.
func (e *Engine) RejectedCallers(
	ctx context.Context, user people.User, below int64, limit int,
) ([]RejectedCaller, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nil, err
	}
	if err := e.FlushRejected(ctx); err != nil { // what came just now, as far as this process knows
		e.log.WarnContext(ctx, "who was turned away just now can't be written down, and is missing in the list", "err", err)
	}
	rows, err := e.q.ListRejectedCallers(ctx, db.ListRejectedCallersParams{Below: below, Max: int32(limit)})
	list := make([]RejectedCaller, len(rows))
	for i, row := range rows {
		list[i] = RejectedCaller{row}
	}
	return list, err
}

// turnedAway gives the calls of a server that were turned away since an instant, by any process that has written them
// down: one of each address and reason.
func (e *Engine) turnedAway(ctx context.Context, server string, since time.Time) []RejectedCaller {
	ctx, cancel := context.WithTimeout(ctx, callsTimeout)
	defer cancel()
	err := e.FlushRejected(ctx)
	var list []RejectedCaller
	rows, asked := e.q.RejectedLately(ctx, db.RejectedLatelyParams{
		Server: server, Seconds: (time.Since(since) + callMargin).Seconds(), Max: callersOfServer,
	})
	slices.SortFunc(rows, func(a, b db.RejectedCaller) int { return strings.Compare(a.Address, b.Address) })
	for _, row := range rows {
		same := func(c RejectedCaller) bool { return c.Address == row.Address && c.Reason == row.Reason }
		if row.Address != "" && !slices.ContainsFunc(list, same) {
			list = append(list, RejectedCaller{row})
		}
	}
	if err != nil || asked != nil {
		e.log.WarnContext(ctx, "which calls were turned away can't be read now", "server", server, "err", err, "asked", asked)
	}
	return list
}

// sayCalls tells of calls that were turned away, and what to do.
func sayCalls(calls []RejectedCaller) string {
	var words []string
	for i, c := range calls {
		if i == shownCalls {
			words = append(words, fmt.Sprintf("%d more calls were turned away (adit receiver callers)", len(calls)-shownCalls))
			break
		}
		words = append(words, c.Words())
	}
	return strings.Join(words, "; ")
}

// Sentence tells what happened and what to do.
func (c RejectedCaller) Sentence() string { return sentence(errors.New(c.Words())) }

// Words is Sentence for within one.
func (c RejectedCaller) Words() string {
	who, from := "DICOM Server "+c.Server, " called from "+c.Address
	if c.Server == "" {
		who = "somebody"
	}
	if c.Address == "" {
		from = " called from several addresses"
	}
	allows := ""
	if c.Allows() {
		allows = "; " + c.Command() + " allows it, if it was that server"
	}
	switch c.Reason {
	case CallAddress:
		return who + from + ", which is not among its addresses" + allows
	case CallHost:
		return who + from + ", and its host can't be resolved to addresses now: see to the name service" + allows
	case CallPlain:
		return who + from + " without TLS, which its settings ask for: have it send by TLS to the listener for that " +
			"(adit serve --dicom-tls-listen)"
	case CallCertificate:
		return who + from + " with a certificate that doesn't name it: have its certificate renewed, or name what is in it " +
			"(--tls-server-name; --tls-verify authority takes any name)"
	case CallHandshake:
		return who + from + " by TLS, but showed no certificate that is trusted here: have it show one of an authority of " +
			"--dicom-tls-ca"
	case CallNotTLS:
		return who + from + " without TLS at the listener for TLS: have it send by TLS, or to the other port (--dicom-listen)"
	case CallTLS:
		return who + from + " by TLS at the listener without it: have it send to the one for TLS (--dicom-tls-listen), " +
			"or without TLS"
	case CallCalledTitle:
		return who + from + " and asked for the AE title " + c.CalledAe + ", which is none of ADIT's: have its administrator " +
			"correct the title" + allows
	}
	if c.Server == "" {
		return who + from + " as " + c.CallingAe + ", which is the AE title of no server"
	}
	return who + from + " as " + c.CallingAe + ", which is none of its AE titles: if it was that server, add the title to its " +
		"others (--other-ae-titles)"
}

// Allows reports whether one change of the server's settings lets it call so.
func (c RejectedCaller) Allows() bool {
	switch c.Reason {
	case CallAddress, CallHost:
		return c.Server != "" && c.Address != ""
	case CallCalledTitle:
		return c.Server != "" && validAE(c.CalledAe)
	}
	return false
}

// Command is what makes that change.
func (c RejectedCaller) Command() string {
	flag := "--add-address " + c.Address
	if c.Reason == CallCalledTitle {
		flag = "--move-destination " + shellWord(c.CalledAe)
	}
	return "adit node set " + shellWord(c.Server) + " " + flag
}

// shellWord makes a text one word of a shell.
func shellWord(text string) string {
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// settleCallers takes from the list what a server's settings allow now.
func settleCallers(ctx context.Context, q *db.Queries, s NewServer) error {
	rows, err := q.RejectedOfServer(ctx, s.Name)
	if err != nil {
		return err
	}
	now := &Sender{}
	if now.Ranges, err = addressRanges(s.Retrieve.AddressRanges); err != nil {
		return err
	}
	ids := []int64{}
	for _, row := range rows {
		addr, err := netip.ParseAddr(row.Address)
		from := err == nil && now.From(addr)
		switch {
		case from && (row.Reason == CallAddress || row.Reason == CallHost),
			!s.TLS.Use && row.Reason == CallPlain,
			row.Reason == CallCalledTitle && row.CalledAe == s.Retrieve.MoveDestination,
			row.Reason == CallCallingTitle && slices.Contains(s.Retrieve.OtherAETitles, row.CallingAe):
			ids = append(ids, row.ID)
		}
	}
	return q.ForgetRejectedCallers(ctx, ids)
}
