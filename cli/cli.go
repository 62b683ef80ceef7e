// SPDX-License-Identifier: AGPL-3.0-or-later

// Package cli is the command line: one file per command. It wires everything together.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/internal/text"
)

// The exit codes, as the help documents them.
const (
	exitSuccess  = 0
	exitFailure  = 1
	exitUsage    = 2
	exitWarning  = 3
	exitCanceled = 4
)

const description = `ADIT moves DICOM studies between PACS servers and folders.

"adit serve" is the server; most other commands speak to it. They find it at --url (ADIT_URL), and take their API token from --token-file (ADIT_TOKEN_FILE), --token (ADIT_TOKEN), "adit login", or, for a server on this machine that the same user runs, from its data directory.

Exit codes: 0 Success, 1 Failure, 2 wrong usage, 3 Warning, 4 Canceled.`

// commands is the table of commands.
type commands struct {
	Serve        serveCmd        `cmd:"" help:"Run the server."`
	Node         nodeCmd         `cmd:"" help:"DICOM nodes: the servers and folders that transfers come from and go to."`
	Search       searchCmd       `cmd:"" help:"Ask a server for studies."`
	Transfer     transferCmd     `cmd:"" help:"Move studies from a server to a server or folder."`
	Job          jobCmd          `cmd:"" help:"Jobs and their tasks."`
	Schedule     scheduleCmd     `cmd:"" help:"When a server may be used, and by how many associations."`
	Receiver     receiverCmd     `cmd:"" help:"The DICOM receiver: who called and was turned away."`
	Quarantine   quarantineCmd   `cmd:"" help:"Objects that servers sent without having been asked."`
	User         userCmd         `cmd:"" help:"Users, and those who ask to be one."`
	Group        groupCmd        `cmd:"" help:"Groups: their members, permissions, and access to DICOM nodes."`
	Login        loginCmd        `cmd:"" help:"Log in: the commands of this user need no token any more."`
	Logout       logoutCmd       `cmd:"" help:"Log out: the login's token is revoked."`
	Token        tokenCmd        `cmd:"" help:"API tokens."`
	Project      projectCmd      `cmd:"" help:"Projects: whose key and profile pseudonymize, and who is behind the pseudonyms."`
	Profile      profileCmd      `cmd:"" help:"De-identification profiles."`
	Audit        auditCmd        `cmd:"" help:"The audit log: who did what, and whether the log is whole."`
	Settings     settingsCmd     `cmd:"" help:"Settings of the site: maintenance, locked sections, how long things are kept."`
	Announcement announcementCmd `cmd:"" help:"What everybody who is logged in is shown."`
	Mail         mailCmd         `cmd:"" help:"Mails: to everybody, and what became of those that were sent."`
	Stats        statsCmd        `cmd:"" help:"Figures of jobs: one's own, of all jobs for staff."`
	Housekeeping houseKeepingCmd `cmd:"" help:"Warnings about disks and folders, and the daily clean-up."`
	Deid         deidCmd         `cmd:"" help:"De-identify DICOM files."`
	Echo         echoCmd         `cmd:"" help:"Ask a DICOM server for a sign of life (C-ECHO)." group:"dimse"`
	Find         findCmd         `cmd:"" help:"Query a DICOM server (C-FIND)." group:"dimse"`
	Get          getCmd          `cmd:"" help:"Retrieve from a DICOM server (C-GET)." group:"dimse"`
	Store        storeCmd        `cmd:"" help:"Send files to a DICOM server (C-STORE)." group:"dimse"`
	Version      versionCmd      `cmd:"" help:"Show the version."`
	Licenses     licensesCmd     `cmd:"" help:"Show the licences of ADIT and of all that is linked into it."`
}

// streams are where a command writes.
type streams struct {
	out, err io.Writer
}

// status is an error that decides the exit code.
type status struct {
	code int
	err  error // nil: everything is said already
}

func (s *status) Error() string {
	if s.err == nil {
		return ""
	}
	return s.err.Error()
}

func (s *status) Unwrap() error { return s.err }

// usage is an error of who typed the command.
func usage(format string, args ...any) error {
	return &status{exitUsage, fmt.Errorf(format, args...)}
}

// exited is how kong ends after --help.
type exited int

// Main runs a command line and returns the exit code. The first SIGINT or SIGTERM ends a command in order, a second one
// at once.
func Main(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailure) // what must not be lost is in the database, whose server dies with us
	}()
	return run(ctx, args, streams{os.Stdout, os.Stderr})
}

func run(ctx context.Context, args []string, io streams) (code int) {
	defer func() {
		if v := recover(); v != nil {
			e, ok := v.(exited)
			if !ok {
				panic(v)
			}
			code = int(e)
		}
	}()
	parser, err := kong.New(
		table(args[1:]), kong.Name("adit"), kong.Description(description), kong.Writers(io.out, io.err), kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ExplicitGroups([]kong.Group{{Key: "dimse", Title: "DICOM tools (host and port, never a configured name)"}}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(io), kong.Vars{
			"data_dir": defaultDataDir(), "demo_dir": demoDataDir(), "deid_profile": deid.DefaultProfile, "deid_profiles": strings.Join(deid.BuiltinProfiles(), ", "),
		},
	)
	if err != nil {
		panic(err) // the table of commands is wrong
	}
	parsed, err := parser.Parse(dcmtkFlags(args[1:]))
	if err != nil {
		fmt.Fprintf(io.err, "adit: %v\nadit --help shows how it is used.\n", err)
		return exitUsage
	}
	return report(io, parsed.Run())
}

// table gives the table of commands, with nothing but the row that the arguments name if they name one: kong reads all of
// a table before it looks at the arguments, which takes half of the time that a program needs to start.
func table(args []string) any {
	all := reflect.TypeFor[commands]()
	if len(args) > 0 {
		for row := range all.Fields() {
			if strings.ToLower(row.Name) == args[0] {
				return reflect.New(reflect.StructOf([]reflect.StructField{row})).Interface()
			}
		}
	}
	return new(commands)
}

// report says what went wrong and gives the exit code.
func report(io streams, err error) int {
	if err == nil {
		return exitSuccess
	}
	code := exitFailure
	if s, ok := errors.AsType[*status](err); ok {
		code = s.code
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(io.err, "adit: interrupted.")
		return code
	}
	switch text := plainly(err); {
	case strings.HasPrefix(text, "adit "): // it begins with the command
		fmt.Fprintln(io.err, text)
	case text != "":
		fmt.Fprintf(io.err, "adit: %s\n", text)
	}
	return code
}

// dcmtkFlags lets the DICOM tools be called as DCMTK's: its options have several letters behind one dash.
func dcmtkFlags(args []string) []string {
	if len(args) == 0 {
		return args
	}
	switch args[0] {
	case "echo", "find", "get", "store":
	default:
		return args
	}
	out := make([]string, 0, len(args))
	for _, arg := range args {
		switch arg {
		case "-aet", "-aec", "-od":
			arg = "-" + arg
		}
		out = append(out, arg)
	}
	return out
}

// defaultDataDir is where a server keeps its data unless it is told otherwise.
func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/adit"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "adit")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "adit-data"
	}
	return filepath.Join(home, ".local", "share", "adit")
}

// isTerminal tells whether a person looks at what is written there.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printable keeps what others wrote (names, descriptions, messages) from steering the terminal.
func printable(value string) string { return text.Visible(value) }
