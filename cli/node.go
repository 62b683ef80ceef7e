// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/adit-go/adit/client"
)

type nodeCmd struct {
	Add      nodeAddCmd      `cmd:"" help:"Add a server or folder."`
	Set      nodeSetCmd      `cmd:"" help:"Change settings of a server."`
	Limit    nodeLimitCmd    `cmd:"" help:"Change how much a folder may hold, and when staff is warned."`
	Adopt    nodeAdoptCmd    `cmd:"" help:"Go on in a folder with what is at its path now: a new disk, or one that was restored."`
	List     nodeListCmd     `cmd:"" help:"List servers and folders."`
	Check    nodeCheckCmd    `cmd:"" help:"Try whether a server answers and offers its services, or a folder is writable."`
	Pause    nodePauseCmd    `cmd:"" help:"Keep jobs away from a server: what runs there stops at the next instance and goes on later."`
	Continue nodeContinueCmd `cmd:"" help:"Let jobs use a paused server again."`
	Remove   nodeRemoveCmd   `cmd:"" help:"Remove a server or folder that no job names."`
}

type nodeAddCmd struct {
	Server nodeAddServerCmd `cmd:"" help:"Add a server."`
	Folder nodeAddFolderCmd `cmd:"" help:"Add a folder of the machine that the server runs on."`
}

type nodeAddServerCmd struct {
	remote
	Name                string        `arg:"" help:"How it is called in ADIT."`
	AETitle             string        `name:"ae-title" required:"" placeholder:"AET" help:"Its AE title."`
	Host                string        `required:"" help:"Its host name or IP address."`
	Port                int           `required:"" help:"Its port."`
	Supports            []string      `required:"" placeholder:"SERVICE" help:"What it offers: find, get, move (study root), store; patient-find, patient-get, patient-move (patient root)."`
	CallingAETitle      string        `name:"calling-ae-title" placeholder:"AET" help:"The AE title that ADIT uses there, if not its own."`
	BatchCap            *int          `placeholder:"N" help:"Most associations at once for jobs (4); 0 closes it for jobs."`
	InteractiveCap      *int          `placeholder:"N" help:"Most associations at once for searches and checks (2)."`
	AssociationsPerTask int           `placeholder:"N" help:"Associations that one task may use to store, and to retrieve series side by side (4)."`
	ResultLimit         int           `placeholder:"N" help:"Most results of a search (200)."`
	IdleTimeout         time.Duration `placeholder:"D" help:"Without any progress for so long, an association is given up (60s)."`
	Issuer              string        `placeholder:"NAME" help:"Who gives out its Patient IDs. For pseudonyms the same ID of two issuers is two patients."`
	nodeTLS
	nodeRetrieve
	nodeVerify
	nodeRules
}

// nodeTLS are the settings of TLS. The files are read here and sent to the server, which keeps the key encrypted.
type nodeTLS struct {
	TLS            *bool   `name:"tls" negatable:"" help:"Use TLS there."`
	TLSProfile     *string `name:"tls-profile" enum:"bcp195-rfc9325,bcp195" placeholder:"PROFILE" help:"bcp195-rfc9325 (default), or bcp195 for older devices."`
	TLSVerify      *string `name:"tls-verify" enum:"name,authority" placeholder:"HOW" help:"name (default): its certificate must be of a trusted authority and name it; authority: the name doesn't matter."`
	TLSAuthorities *string `name:"tls-ca" placeholder:"FILE" help:"PEM file with the certificates of the authorities that sign its certificate; empty: those that the system trusts."`
	TLSCertificate *string `name:"tls-cert" placeholder:"FILE" help:"PEM file with the certificate that ADIT shows there; empty: none."`
	TLSKey         *string `name:"tls-key" placeholder:"FILE" help:"PEM file with its private key, without a password. It is kept encrypted and never shown again."`
	TLSServerName  *string `name:"tls-server-name" placeholder:"NAME" help:"Name in its certificate, if it isn't its host."`
}

// change gives what the flags say, nil if they say nothing.
func (c *nodeTLS) change() (*client.TLSChange, error) {
	if *c == (nodeTLS{}) {
		return nil, nil //nolint:nilnil // nothing is to be changed
	}
	out := &client.TLSChange{Use: c.TLS, Profile: c.TLSProfile, Verify: c.TLSVerify, ServerName: c.TLSServerName}
	for _, f := range []struct {
		file *string
		to   **string
	}{{c.TLSAuthorities, &out.Authorities}, {c.TLSCertificate, &out.Certificate}, {c.TLSKey, &out.Key}} {
		if f.file == nil {
			continue
		}
		text := ""
		if *f.file != "" {
			b, err := os.ReadFile(*f.file)
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		*f.to = &text
	}
	return out, nil
}

// nodeRetrieve are the settings of retrieving. An empty value of a list takes it back to its default.
type nodeRetrieve struct {
	Retrieve             *string        `placeholder:"METHODS" help:"Retrieve methods in the order in which they are tried: get,move (default), move,get, get or move."`
	MoveDestination      *string        `placeholder:"AET" help:"AE title under which it knows ADIT's receiver, if not ADIT's own."`
	MoveDestinationPlain *string        `placeholder:"AET" help:"The same for what it has to send uncompressed, if not ADIT_LE."`
	MoveOriginator       *bool          `negatable:"" help:"What it stores is known to carry the Move Originator fields."`
	MovePatience         *time.Duration `placeholder:"D" help:"How long to wait for objects later than the end of their C-MOVE (10s)."`
	OtherAETitles        *string        `name:"other-ae-titles" placeholder:"AET,…" help:"AE titles under which it stores to ADIT, besides its own."`
	AddressRanges        *string        `placeholder:"RANGE,…" help:"Addresses from which it may call ADIT, besides those of its host, as in 10.1.0.0/16 (none)."`
	AddAddress           *string        `placeholder:"RANGE,…" help:"Further ones: they are added to --address-ranges."`
	Direct               *string        `placeholder:"NAME=AET,…" help:"Destinations to which it sends by itself (C-MOVE) what is not to be changed, and the AE titles under which it knows them; NAME= takes one away."`
}

// change gives what the flags say, nil if they say nothing.
func (c *nodeRetrieve) change() (*client.RetrieveChange, error) {
	if *c == (nodeRetrieve{}) {
		return nil, nil //nolint:nilnil // nothing is to be changed
	}
	out := &client.RetrieveChange{
		MoveDestination: c.MoveDestination, MoveDestinationPlain: c.MoveDestinationPlain, MoveOriginator: c.MoveOriginator,
		OtherAETitles: splitList(c.OtherAETitles), AddressRanges: splitList(c.AddressRanges),
	}
	if more := splitList(c.AddAddress); more != nil {
		out.AddAddressRanges = *more
	}
	if c.MovePatience != nil {
		seconds := int(*c.MovePatience / time.Second)
		out.MovePatience = &seconds
	}
	if c.Direct != nil {
		out.Direct = map[string]string{}
		for _, pair := range *splitList(c.Direct) {
			name, title, ok := strings.Cut(pair, "=")
			if !ok {
				return nil, usage("--direct: %q is not NAME=AET", pair)
			}
			out.Direct[name] = title
		}
	}
	if out.Methods = splitList(c.Retrieve); out.Methods != nil {
		for i, m := range *out.Methods {
			switch strings.ToLower(m) {
			case "get":
				(*out.Methods)[i] = "C-GET"
			case "move":
				(*out.Methods)[i] = "C-MOVE"
			default:
				return nil, usage("--retrieve: %q is neither get nor move", m)
			}
		}
	}
	return out, nil
}

// splitList splits at commas; AE titles may hold blanks, but not at their ends.
func splitList(text *string) *[]string {
	if text == nil {
		return nil
	}
	list := []string{}
	for part := range strings.SplitSeq(*text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return &list
}

// newRetrieve gives the settings of a server that is added.
func newRetrieve(c *client.RetrieveChange) client.Retrieve {
	if c == nil {
		return client.Retrieve{}
	}
	return client.Retrieve{
		Methods: value(c.Methods), MoveDestination: value(c.MoveDestination), MoveDestinationPlain: value(c.MoveDestinationPlain),
		MoveOriginator: value(c.MoveOriginator), MovePatience: value(c.MovePatience), OtherAETitles: value(c.OtherAETitles),
		AddressRanges: slices.Concat(value(c.AddressRanges), c.AddAddressRanges), Direct: c.Direct,
	}
}

// nodeVerify are the settings of verification.
type nodeVerify struct {
	Verify         *string        `enum:"none,presence,commitment" placeholder:"HOW" help:"As a destination, it is asked whether it has what it acknowledged: none (default), presence (C-FIND) or commitment (storage commitment)."`
	VerifyPatience *time.Duration `placeholder:"D" help:"How long what is not verified is asked for again, before it is a warning (10m)."`
}

// change gives what the flags say, nil if they say nothing.
func (c *nodeVerify) change() *client.VerifyChange {
	if *c == (nodeVerify{}) {
		return nil
	}
	out := &client.VerifyChange{Method: c.Verify}
	if c.VerifyPatience != nil {
		seconds := int(*c.VerifyPatience / time.Second)
		out.Patience = &seconds
	}
	return out
}

// newVerify gives the settings of a server that is added.
func newVerify(c *client.VerifyChange) client.Verify {
	if c == nil {
		return client.Verify{}
	}
	return client.Verify{Method: value(c.Method), Patience: value(c.Patience)}
}

// nodeRules are what a server is asked and spared of at all hours.
type nodeRules struct {
	MaxPDU            *int           `name:"max-pdu" placeholder:"BYTES" help:"Largest PDU that ADIT announces there, 16384 to 1048576 (1048564)."`
	MinStudyAge       *time.Duration `placeholder:"D" help:"As a source, its studies are not read before this age, counted from their date and time (0)."`
	YoungStudy        *time.Duration `placeholder:"D" help:"As a source, up to which age its studies may still grow, so that their lists are asked for once more at the end (24h)."`
	OfflinePatience   *time.Duration `placeholder:"D" help:"As a source, how long studies that are offline or nearline are waited for before a task fails (4h)."`
	Duplicates        *string        `enum:"send,skip,refuse" placeholder:"HOW" help:"As a destination, images that it holds already are sent all the same (send, default), are not sent (skip), or make the task fail before anything is sent (refuse)."`
	RefusedSOPClasses *string        `name:"refused-sop-classes" placeholder:"UID,…" help:"SOP classes that it never takes, as a destination: left out and noted (none)."`
	FallbackCharset   *string        `name:"fallback-charset" placeholder:"TERM" help:"As a source, what text is read in of objects that declare no character set and aren't UTF-8: ISO_IR 100 (default), ISO_IR 144, …; ISO_IR 6: nothing, they are not de-identified."`
	IgnoreCounts      *bool          `negatable:"" help:"As a source, its counts of instances are known to be wrong and are no evidence of what a study holds (no)."`
}

// change gives what the flags say, nil if they say nothing.
func (c *nodeRules) change() *client.RulesChange {
	if *c == (nodeRules{}) {
		return nil
	}
	return &client.RulesChange{
		MaxPDU: c.MaxPDU, MinStudyAge: seconds(c.MinStudyAge), YoungStudy: seconds(c.YoungStudy), OfflinePatience: seconds(c.OfflinePatience), RefusedSOPClasses: splitList(c.RefusedSOPClasses),
		Duplicates: c.Duplicates, IgnoreCounts: c.IgnoreCounts, FallbackCharset: c.FallbackCharset,
	}
}

func seconds(d *time.Duration) *int {
	if d == nil {
		return nil
	}
	n := int(*d / time.Second)
	return &n
}

// newRules gives the settings of a server that is added.
func newRules(c *client.RulesChange) client.Rules {
	if c == nil {
		return client.Rules{}
	}
	return client.Rules{
		MaxPDU: value(c.MaxPDU), MinStudyAge: value(c.MinStudyAge), YoungStudy: c.YoungStudy, OfflinePatience: value(c.OfflinePatience), RefusedSOPClasses: value(c.RefusedSOPClasses),
		Duplicates: value(c.Duplicates), IgnoreCounts: value(c.IgnoreCounts), FallbackCharset: value(c.FallbackCharset),
	}
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Run adds the server.
func (c *nodeAddServerCmd) Run(ctx context.Context, io streams) error {
	supports, err := parseSupports(c.Supports)
	if err != nil {
		return err
	}
	tls, err := c.nodeTLS.change()
	if err != nil {
		return err
	}
	retrieve, err := c.nodeRetrieve.change()
	if err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	_, err = cl.AddServer(ctx, client.ServerSettings{
		Name: c.Name, AETitle: c.AETitle, Host: c.Host, Port: c.Port, CallingAETitle: c.CallingAETitle, Supports: supports,
		ResultLimit: c.ResultLimit, IdleTimeout: int(c.IdleTimeout / time.Second), BatchCap: c.BatchCap, InteractiveCap: c.InteractiveCap,
		AssociationsPerTask: c.AssociationsPerTask, IssuerOfPatientID: c.Issuer, TLS: newTLS(tls), Retrieve: newRetrieve(retrieve),
		Verify: newVerify(c.nodeVerify.change()), Rules: newRules(c.nodeRules.change()),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "DICOM Server %s was added; adit node check %s tries it.\n", c.Name, quoted(c.Name))
	return nil
}

// newTLS gives the settings of a server that is added.
func newTLS(c *client.TLSChange) client.TLS {
	if c == nil {
		return client.TLS{}
	}
	return client.TLS{
		Use: c.Use == nil || *c.Use, Profile: value(c.Profile), Verify: value(c.Verify), Authorities: value(c.Authorities),
		Certificate: value(c.Certificate), Key: value(c.Key), ServerName: value(c.ServerName),
	}
}

type nodeSetCmd struct {
	remote
	Name                string         `arg:"" help:"Name of the server."`
	AETitle             *string        `name:"ae-title" placeholder:"AET" help:"Its AE title."`
	Host                *string        `help:"Its host name or IP address."`
	Port                *int           `help:"Its port."`
	Supports            []string       `placeholder:"SERVICE" help:"All that it offers: find, get, move (study root), store; patient-find, patient-get, patient-move (patient root)."`
	CallingAETitle      *string        `name:"calling-ae-title" placeholder:"AET" help:"The AE title that ADIT uses there; empty: its own."`
	BatchCap            *int           `placeholder:"N" help:"Most associations at once for jobs; 0 closes it for jobs."`
	InteractiveCap      *int           `placeholder:"N" help:"Most associations at once for searches and checks."`
	AssociationsPerTask *int           `placeholder:"N" help:"Associations that one task may use to store."`
	ResultLimit         *int           `placeholder:"N" help:"Most results of a search."`
	IdleTimeout         *time.Duration `placeholder:"D" help:"Without any progress for so long, an association is given up."`
	FindImages          *bool          `negatable:"" help:"Ask it for single images (C-FIND at IMAGE level)."`
	Issuer              *string        `placeholder:"NAME" help:"Who gives out its Patient IDs; empty: nobody in particular."`
	PatientsAnew        bool           `help:"Another issuer is meant although patients of the server have pseudonyms: from now on they get others."`
	nodeTLS
	nodeRetrieve
	nodeVerify
	nodeRules
}

// Run changes the server.
func (c *nodeSetCmd) Run(ctx context.Context, io streams) error {
	tls, err := c.nodeTLS.change()
	if err != nil {
		return err
	}
	retrieve, err := c.nodeRetrieve.change()
	if err != nil {
		return err
	}
	change := client.ServerChange{
		AETitle: c.AETitle, Host: c.Host, Port: c.Port, CallingAETitle: c.CallingAETitle, ResultLimit: c.ResultLimit, BatchCap: c.BatchCap,
		InteractiveCap: c.InteractiveCap, AssociationsPerTask: c.AssociationsPerTask, FindImages: c.FindImages, IssuerOfPatientID: c.Issuer, PatientsAnew: c.PatientsAnew, TLS: tls,
		Retrieve: retrieve, Verify: c.nodeVerify.change(), Rules: c.nodeRules.change(),
	}
	if c.IdleTimeout != nil {
		seconds := int(*c.IdleTimeout / time.Second)
		change.IdleTimeout = &seconds
	}
	if len(c.Supports) > 0 {
		s, err := parseSupports(c.Supports)
		if err != nil {
			return err
		}
		change.Supports = &client.SupportsChange{
			PatientRootFind: &s.PatientRootFind, PatientRootGet: &s.PatientRootGet, PatientRootMove: &s.PatientRootMove,
			StudyRootFind: &s.StudyRootFind, StudyRootGet: &s.StudyRootGet, StudyRootMove: &s.StudyRootMove, Store: &s.Store,
		}
	}
	if change == (client.ServerChange{}) {
		return usage("say what is to be changed; adit node set --help lists the settings")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	if _, err := cl.ChangeServer(ctx, c.Name, change); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "DICOM Server %s was changed; adit node check %s tries it.\n", c.Name, quoted(c.Name))
	return nil
}

// quoted makes a name one word of a shell.
func quoted(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@") == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

func parseSupports(list []string) (client.Supports, error) {
	var s client.Supports
	flags := map[string]*bool{
		"find": &s.StudyRootFind, "get": &s.StudyRootGet, "move": &s.StudyRootMove, "store": &s.Store,
		"patient-find": &s.PatientRootFind, "patient-get": &s.PatientRootGet, "patient-move": &s.PatientRootMove,
	}
	for _, name := range list {
		flag, ok := flags[strings.ToLower(strings.TrimSpace(name))]
		if !ok {
			return s, usage("--supports: %q is not one of find, get, move, store, patient-find, patient-get, patient-move", name)
		}
		*flag = true
	}
	return s, nil
}

func supportsWords(s client.Supports) string {
	var list []string
	for _, f := range []struct {
		on   bool
		name string
	}{
		{s.StudyRootFind, "find"},
		{s.StudyRootGet, "get"},
		{s.StudyRootMove, "move"},
		{s.Store, "store"},
		{s.PatientRootFind, "patient-find"},
		{s.PatientRootGet, "patient-get"},
		{s.PatientRootMove, "patient-move"},
	} {
		if f.on {
			list = append(list, f.name)
		}
	}
	return strings.Join(list, ",")
}

type nodeAddFolderCmd struct {
	remote
	Name    string  `arg:"" help:"How it is called in ADIT."`
	Path    string  `required:"" type:"path" placeholder:"DIR" help:"The folder; it must be there and writable for the server."`
	QuotaGB float64 `name:"quota-gb" placeholder:"GB" help:"Beyond it transfers to the folder fail."`
	WarnGB  float64 `name:"warn-gb" placeholder:"GB" help:"When it is reached staff gets a mail."`
}

// Run adds the folder.
func (c *nodeAddFolderCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if _, err := cl.AddFolder(ctx, client.FolderSettings{
		Name: c.Name, Path: c.Path, FolderLimits: client.FolderLimits{QuotaGB: c.QuotaGB, WarnGB: c.WarnGB},
	}); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "DICOM Folder %s was added.\n", c.Name)
	return nil
}

type nodeListCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists the nodes.
func (c *nodeListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	nodes, err := collect(cl.Nodes(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, nodes)
	}
	if len(nodes) == 0 {
		fmt.Fprintln(io.out, "There are no DICOM nodes yet; adit node add server adds one.")
		return nil
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tWHERE\tSUPPORTS\tYOU MAY")
	for _, n := range nodes {
		where, supports := "", "" // for staff
		if n.Server != nil {
			where = fmt.Sprintf("%s at %s:%d", printable(n.Server.AETitle), n.Server.Host, n.Server.Port)
			supports = supportsWords(n.Server.Supports)
		}
		if n.Folder != nil {
			where = printable(n.Folder.Path)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", printable(n.Name), n.Kind, where, supports, usesWords(n))
	}
	return w.Flush()
}

// usesWords says what one may do with a DICOM node, and whether it is paused, or takes less than it is allowed to.
func usesWords(n client.Node) string {
	var list []string
	if n.Source {
		list = append(list, "read")
	}
	if n.Destination {
		list = append(list, "write")
	}
	text := cmp.Or(strings.Join(list, ", "), "nothing")
	if n.Paused {
		text += " (paused)"
	}
	if n.Takes != nil {
		text += fmt.Sprintf(" (takes %d at once now%s)", *n.Takes, askedAgain(n.NextProbe))
	}
	return text
}

type nodeCheckCmd struct {
	remote
	Name  string `arg:"" help:"Name of the server or folder."`
	Apply bool   `help:"Change the server's settings as the check suggests."`
	JSON  bool   `name:"json" help:"Write JSON."`
}

// Run checks the node. The exit code is 1 if a check failed.
func (c *nodeCheckCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	report, err := cl.CheckNode(ctx, c.Name)
	if err != nil {
		return err
	}
	failed := slices.ContainsFunc(report.Checks, func(c client.Check) bool { return !c.OK })
	if c.JSON {
		err = printJSON(io.out, report)
	} else {
		c.print(io.out, report)
	}
	if c.Apply && len(report.Suggestions) > 0 && err == nil {
		if _, err = cl.ApplySuggestions(ctx, c.Name, report.Suggestions); err == nil {
			fmt.Fprintf(io.err, "The settings of DICOM Server %s were changed.\n", c.Name)
		}
	}
	if failed {
		err = errors.Join(err, &status{code: exitFailure})
	}
	return err
}

func (c *nodeCheckCmd) print(w io.Writer, report client.CheckReport) {
	for _, check := range report.Checks {
		word := "ok    "
		if !check.OK {
			word = "FAILED"
		}
		fmt.Fprintf(w, "%s  %s: %s\n", word, check.Name, printable(check.Detail))
	}
	for _, s := range report.Suggestions {
		fmt.Fprintf(w, "change  %s from %v to %v: %s\n", s.Setting, s.Now, s.Suggested, printable(s.Why))
	}
	if len(report.Suggestions) > 0 && !c.Apply {
		fmt.Fprintf(w, "adit node check --apply %s makes these changes.\n", quoted(c.Name))
	}
}

type nodeRemoveCmd struct {
	remote
	Name string `arg:"" help:"Name of the server or folder."`
}

// Run removes the node.
func (c *nodeRemoveCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.DeleteNode(ctx, c.Name); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%s was removed.\n", c.Name)
	return nil
}

type nodePauseCmd struct {
	remote
	Name string `arg:"" help:"Name of the server."`
}

// Run pauses the server.
func (c *nodePauseCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if _, err := cl.PauseServer(ctx, c.Name); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "DICOM Server %s is paused; adit node continue %s lets jobs use it again.\n", c.Name, quoted(c.Name))
	return nil
}

type nodeContinueCmd struct {
	remote
	Name string `arg:"" help:"Name of the server."`
}

// Run continues.
func (c *nodeContinueCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if _, err := cl.ContinueServer(ctx, c.Name); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Jobs may use DICOM Server %s again.\n", c.Name)
	return nil
}
