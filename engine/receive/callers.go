// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/people"
)

const (
	maxCalls         = 1000 // kinds of calls of servers that are counted apart between two times of writing down
	maxCallsOfNobody = 100  // and of calls that may be of no server

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

// callers counts such calls until they are written down: those of nobody apart, so that they take no place of the
// others.
type callers struct{ ofServers, ofNobody *base.Tally[RejectedCall] }

func newCallers() *callers {
	rest := func(c RejectedCall) RejectedCall { return RejectedCall{Server: c.Server, Reason: c.Reason} }
	return &callers{base.NewTally(maxCalls, rest), base.NewTally(maxCallsOfNobody, rest)}
}

// CountRejected takes down a call that the receiver turned away.
func (svc *Service) CountRejected(call RejectedCall) {
	call.CallingAE, call.CalledAE = titleText(call.CallingAE), titleText(call.CalledAE)
	if call.Reason != nodes.CallCalledTitle {
		call.CalledAE = "" // says nothing, and may be anything
	}
	if call.Server == "" {
		svc.callers.ofNobody.One(call, false)
	} else {
		svc.callers.ofServers.One(call, false)
	}
}

// titleText makes an AE title of whatever came in the place of one: text that may be shown and kept.
func titleText(title string) string {
	title = strings.Trim(title, " ")
	if title == "" || fault.ValidAE(title) {
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

// HandshakeFault says what kept a peer from requesting an association; empty if that is unclear.
func HandshakeFault(err error) string {
	if connect, ok := errors.AsType[*ul.ConnectError](err); ok {
		var header tls.RecordHeaderError
		var certificate *tls.CertificateVerificationError
		switch {
		case errors.As(connect.Err, &header):
			return nodes.CallNotTLS
		case errors.As(connect.Err, &certificate), strings.Contains(connect.Err.Error(), noCertificate):
			return nodes.CallHandshake
		}
		return ""
	}
	if notDICOM, ok := errors.AsType[*ul.NotDICOMError](err); ok && notDICOM.Got == "TLS" {
		return nodes.CallTLS
	}
	return ""
}

// FlushRejected writes down which calls were turned away since the last time. What can't be written now is kept for the
// next time.
func (svc *Service) FlushRejected(ctx context.Context) error {
	wrote := false
	write := func(call RejectedCall, c base.Sightings) error {
		wrote = true
		return svc.Q.CountRejectedCaller(ctx, db.CountRejectedCallerParams{
			Server: call.Server, CallingAe: call.CallingAE,
			CalledAe: call.CalledAE, Address: call.Address, Reason: call.Reason,
			Calls: c.N, FirstAge: c.FirstAge(), LastAge: c.LastAge(),
		})
	}
	err := errors.Join(svc.callers.ofServers.Flush(write), svc.callers.ofNobody.Flush(write))
	if err != nil || !wrote {
		return err
	}
	return svc.Q.TrimRejectedCallers(ctx, db.TrimRejectedCallersParams{
		Days: callersKept, PerServer: callersOfServer, PerAddress: callersOfAddress,
	})
}

// RejectedCallers returns a page of who was turned away, the newest first: below the ID given (0: from the beginning).
// It is for staff.
func (svc *Service) RejectedCallers(
	ctx context.Context, user people.User, below int64, limit int,
) ([]RejectedCaller, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nil, err
	}
	if err := svc.FlushRejected(ctx); err != nil { // what came just now, as far as this process knows
		svc.Log.WarnContext(
			ctx, "callers that were just turned away can't be recorded; the list lacks them", "err", err,
		)
	}
	rows, err := svc.Q.ListRejectedCallers(ctx, db.ListRejectedCallersParams{Below: below, Max: int32(limit)})
	list := make([]RejectedCaller, len(rows))
	for i, row := range rows {
		list[i] = RejectedCaller{row}
	}
	return list, err
}

// TurnedAway returns the calls of a server that were turned away since an instant, by any process that has written them
// down: one of each address and reason.
func (svc *Service) TurnedAway(ctx context.Context, server string, since time.Time) []RejectedCaller {
	ctx, cancel := context.WithTimeout(ctx, callsTimeout)
	defer cancel()
	err := svc.FlushRejected(ctx)
	var list []RejectedCaller
	rows, asked := svc.Q.RejectedLately(ctx, db.RejectedLatelyParams{
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
		svc.Log.WarnContext(
			ctx, "the list of calls that were turned away can't be read now", "server", server, "err", err, "asked", asked,
		)
	}
	return list
}

// SayCalls reports calls that were turned away, and what to do.
func SayCalls(calls []RejectedCaller) string {
	var words []string
	for i, c := range calls {
		if i == shownCalls {
			words = append(
				words, fmt.Sprintf("%d more calls were turned away (adit receiver callers)", len(calls)-shownCalls),
			)
			break
		}
		words = append(words, c.Words())
	}
	return strings.Join(words, "; ")
}

// Sentence says what happened and what to do.
func (c RejectedCaller) Sentence() string { return fault.Sentence(errors.New(c.Words())) }

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
	case nodes.CallAddress:
		return who + from + ", which is not among its addresses" + allows
	case nodes.CallHost:
		return who + from + ", and its host name can't be resolved now: check the name service" + allows
	case nodes.CallPlain:
		return who + from + " without TLS, which its settings require: configure it to send by TLS to the TLS listener " +
			"(adit serve --dicom-tls-listen)"
	case nodes.CallCertificate:
		return who + from +
			" with a certificate that doesn't name it: ask for a correct certificate, or give the name in it " +
			"(--tls-server-name; --tls-verify authority takes any name)"
	case nodes.CallHandshake:
		return who + from +
			" by TLS, but showed no certificate that ADIT trusts: configure it to show one of an authority in " +
			"--dicom-tls-ca"
	case nodes.CallNotTLS:
		return who + from +
			" without TLS at the TLS listener: configure it to send by TLS, or to the other port (--dicom-listen)"
	case nodes.CallTLS:
		return who + from +
			" by TLS at the listener without TLS: configure it to send to the TLS listener (--dicom-tls-listen), " +
			"or without TLS"
	case nodes.CallCalledTitle:
		return who + from + " and asked for the AE title " + c.CalledAe +
			", which is not one of ADIT's: ask its administrator to " +
			"correct the title" + allows
	}
	if c.Server == "" {
		return who + from + " as " + c.CallingAe + ", which is the AE title of no server"
	}
	return who + from + " as " + c.CallingAe +
		", which is not one of its AE titles: if it was that server, add the title to its " +
		"others (--other-ae-titles)"
}

// Allows reports whether one change of the server's settings lets it call so.
func (c RejectedCaller) Allows() bool {
	switch c.Reason {
	case nodes.CallAddress, nodes.CallHost:
		return c.Server != "" && c.Address != ""
	case nodes.CallCalledTitle:
		return c.Server != "" && fault.ValidAE(c.CalledAe)
	}
	return false
}

// Command is what makes that change.
func (c RejectedCaller) Command() string {
	flag := "--add-address " + c.Address
	if c.Reason == nodes.CallCalledTitle {
		flag = "--move-destination " + text.ShellWord(c.CalledAe)
	}
	return "adit node set " + text.ShellWord(c.Server) + " " + flag
}
