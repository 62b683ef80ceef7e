// SPDX-License-Identifier: AGPL-3.0-or-later

// Package scu are the commands that speak DICOM by themselves: echo, find, get and store.
package scu

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/words"
)

// peer says which DICOM server a tool calls.
type peer struct {
	command.Output
	Host    string        `arg:"" help:"Host name or IP address."`
	Port    int           `arg:"" help:"Port."`
	AET     string        `name:"aet" env:"ADIT_AE_TITLE" default:"ADIT" placeholder:"AET" help:"Our AE title (${default}). -aet works as well."`
	AEC     string        `name:"aec" default:"ANY-SCP" placeholder:"AET" help:"The server's AE title (${default}). -aec works as well."`
	Timeout time.Duration `default:"60s" placeholder:"D" help:"Give up after this long without any progress (${default})."`

	TLS           bool   `name:"tls" help:"Use TLS."`
	TLSProfile    string `name:"tls-profile" enum:"bcp195-rfc9325,bcp195" default:"bcp195-rfc9325" placeholder:"PROFILE" help:"bcp195-rfc9325 (default), or bcp195 for older devices."`
	TLSVerify     string `name:"tls-verify" enum:"name,authority,nothing" default:"name" placeholder:"HOW" help:"name (default): the server's certificate must be from a trusted authority and carry the server's name; authority: the name doesn't matter; nothing: accept any certificate."`
	TLSCA         string `name:"tls-ca" type:"existingfile" placeholder:"FILE" help:"PEM file with the trusted authorities. Default: the system's."`
	TLSCert       string `name:"tls-cert" type:"existingfile" placeholder:"FILE" help:"PEM file with our certificate."`
	TLSKey        string `name:"tls-key" type:"existingfile" placeholder:"FILE" help:"PEM file with the private key of the certificate, without a password."`
	TLSServerName string `name:"tls-server-name" placeholder:"NAME" help:"Name in the server's certificate, if it differs from the host."`
}

// secured returns the configuration of TLS, nil without.
func (p *peer) secured() (*tls.Config, error) {
	if !p.TLS {
		if p.TLSCA+p.TLSCert+p.TLSKey+p.TLSServerName != "" {
			return nil, command.Usage("TLS is only used with --tls; add it, or leave the other options of TLS out")
		}
		return nil, nil //nolint:nilnil // none
	}
	o := ul.TLSOptions{ServerName: p.TLSServerName}
	if p.TLSProfile == "bcp195" {
		o.Profile = ul.ProfileBCP195
	}
	switch p.TLSVerify {
	case "authority":
		o.Verification = ul.VerifyAuthority
	case "nothing":
		o.Verification = ul.VerifyNothing
	}
	for _, f := range []struct {
		name string
		to   *[]byte
	}{{p.TLSCA, &o.Authorities}, {p.TLSCert, &o.Certificate}, {p.TLSKey, &o.Key}} {
		if f.name == "" {
			continue
		}
		var err error
		if *f.to, err = os.ReadFile(f.name); err != nil {
			return nil, err
		}
	}
	return ul.ClientTLS(o)
}

// call opens an association, runs fn and releases it.
func (p *peer) call(ctx context.Context, contexts []dimse.Context, fn func(*dimse.Association) error) error {
	secured, err := p.secured()
	if err != nil {
		return err
	}
	a, err := dimse.Dial(ctx, dimse.Config{
		Addr: net.JoinHostPort(p.Host, strconv.Itoa(p.Port)), CallingAE: p.AET,
		CalledAE: p.AEC, Contexts: contexts, IdleTimeout: p.Timeout,
		ConnectTimeout: min(p.Timeout, 30*time.Second), TLS: secured,
	})
	if err != nil {
		return err
	}
	if err := fn(a); err != nil {
		a.Abort()
		return err
	}
	return a.Release(ctx)
}

// plain are the transfer syntaxes of requests.
var plain = []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}

// model is the information model of a query.
type model struct {
	PatientRoot bool     `name:"patient" short:"P" xor:"model" help:"Use the patient root information model."`
	StudyRoot   bool     `name:"study" short:"S" xor:"model" help:"Use the study root information model (default)."`
	Keys        []string `name:"key" short:"k" sep:"none" placeholder:"KEY=VALUE" help:"A key, by keyword or tag, such as PatientID=4711, StudyDate=20240101- or 0008,0052=STUDY. A key without a value asks the server to return the attribute."`
}

// identifier makes the query. The level is STUDY unless a key says otherwise.
func (m *model) identifier() (*stream.DataSet, error) {
	d := &stream.DataSet{}
	d.Set(dict.QueryRetrieveLevel, "STUDY")
	for _, key := range m.Keys {
		name, value, valued := strings.Cut(key, "=")
		tag, err := parseTag(name)
		if err != nil {
			return nil, err
		}
		if !valued || value == "" {
			d.Set(tag)
			continue
		}
		values, err := keyValues(name, tag, value)
		if err != nil {
			return nil, err
		}
		d.Set(tag, values...)
	}
	return d, nil
}

// keyValues reads the values of a key, without blanks around them and codes in capital letters. What can't match
// anything is refused: a server would find nothing, and not say why.
func keyValues(name string, tag dict.Tag, text string) ([]string, error) {
	vr := dict.VROf(tag)
	values := strings.Split(text, `\`)
	for i, v := range values {
		if v = strings.TrimSpace(v); vr == dict.CS {
			v = strings.ToUpper(v)
		}
		err := dimse.CheckKey(vr, v)
		switch {
		case err != nil && vr == dict.CS && strings.Contains(v, ","):
			return nil, command.Usage(
				"-k %s: %s; ask for one after the other, or put a backslash between several, which some servers "+
					"understand",
				name, err,
			)
		case err != nil:
			return nil, command.Usage("-k %s: %s", name, err)
		}
		values[i] = v
	}
	return values, nil
}

// parseTag reads PatientID, (0010,0020), 0010,0020 or 00100020.
func parseTag(text string) (dict.Tag, error) {
	text = strings.TrimSpace(text)
	if e, ok := dict.ByKeyword(text); ok {
		return e.Tag, nil
	}
	digits := strings.NewReplacer("(", "", ")", "", ",", "").Replace(text)
	if n, err := strconv.ParseUint(digits, 16, 32); err == nil && len(digits) == 8 {
		return dict.Tag(n), nil
	}
	return 0, command.Usage("-k: %q is neither the keyword of an attribute nor a tag such as 0010,0020", text)
}

// print writes a data set in the manner of dcmdump.
func printDataSet(w io.Writer, d *stream.DataSet, indent string) {
	for e := range d.All() {
		value := "(no value)"
		switch {
		case e.VR == dict.SQ:
			fmt.Fprintf(w, "%s%s %s # %s, %d items\n", indent, e.Tag, e.VR, e.Tag.Keyword(), len(e.Items))
			for _, item := range e.Items {
				printDataSet(w, item, indent+"  ")
			}
			continue
		case len(d.Strings(e.Tag)) > 0:
			value = "[" + command.Printable(strings.Join(d.Strings(e.Tag), `\`)) + "]"
		case len(e.Value) > 0:
			value = fmt.Sprintf("(%d bytes)", len(e.Value))
		}
		fmt.Fprintf(w, "%s%s %s %s # %s\n", indent, e.Tag, e.VR, value, e.Tag.Keyword())
	}
}

// statusOf makes a final status that is no success an error. The peer's comment is shown: it was asked for here and
// now, and goes nowhere else.
func statusOf(service dimse.Service, s dimse.Status, comment string) error {
	m := s.Meaning(service)
	if comment != "" {
		comment = " (" + command.Printable(comment) + ")"
	}
	return fmt.Errorf("%s: status %s: %s%s", service, s, m.Text, comment)
}

// withComment adds a peer's comment to a refusal.
func withComment(err error) error {
	if s, ok := errors.AsType[*dimse.StatusError](err); ok {
		return statusOf(s.Service, s.Status, s.ErrorComment)
	}
	return err
}

// EchoCmd asks a server whether it answers.
type EchoCmd struct {
	peer
}

// echoed is what echo --json writes.
type echoed struct {
	AETitle string  `json:"ae_title"`
	Host    string  `json:"host"`
	Port    int     `json:"port"`
	Seconds float64 `json:"seconds"`
}

// Run is C-ECHO.
func (c *EchoCmd) Run(ctx context.Context, io command.Streams) error {
	start := time.Now()
	err := c.call(
		ctx, []dimse.Context{{AbstractSyntax: dict.Verification, TransferSyntaxes: plain}},
		func(a *dimse.Association) error {
			return withComment(a.Echo(ctx))
		},
	)
	if err != nil {
		return err
	}
	took := time.Since(start)
	return c.Say(
		io, echoed{c.AEC, c.Host, c.Port, took.Seconds()}, "%s at %s answered C-ECHO in %s.", c.AEC,
		net.JoinHostPort(c.Host, strconv.Itoa(c.Port)), took.Round(time.Millisecond/10),
	)
}

// FindCmd asks a server what it has.
type FindCmd struct {
	peer
	model
}

// Run is C-FIND.
func (c *FindCmd) Run(ctx context.Context, io command.Streams) error {
	query, err := c.identifier()
	if err != nil {
		return err
	}
	root := dict.StudyRootQueryRetrieveInformationModelFind
	if c.PatientRoot {
		root = dict.PatientRootQueryRetrieveInformationModelFind
	}
	matches := []*stream.DataSet{}
	n := 0
	err = c.call(
		ctx, []dimse.Context{{AbstractSyntax: root, TransferSyntaxes: plain}},
		func(a *dimse.Association) error {
			for match, err := range a.Find(ctx, root, query) {
				if err != nil {
					return withComment(err)
				}
				n++
				if c.JSON {
					matches = append(matches, match)
					continue
				}
				fmt.Fprintf(io.Out, "# match %d\n", n)
				printDataSet(io.Out, match, "")
			}
			return nil
		},
	)
	if err != nil {
		return err
	}
	if c.JSON {
		return printMatches(io, matches)
	}
	fmt.Fprintln(io.Err, words.Plural(n, "match", "matches"))
	return nil
}
