// SPDX-License-Identifier: AGPL-3.0-or-later

// Package cli is the command line: one file per command. What `adit serve` runs is package server.
package cli

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/adit-go/adit/cli/auditlog"
	"github.com/adit-go/adit/cli/cluster"
	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/completion"
	"github.com/adit-go/adit/cli/deidentify"
	"github.com/adit-go/adit/cli/hours"
	"github.com/adit-go/adit/cli/jobs"
	"github.com/adit-go/adit/cli/scu"
	"github.com/adit-go/adit/cli/search"
	"github.com/adit-go/adit/dicom/deid"
)

const description = `ADIT moves DICOM studies between PACS servers and folders.

"adit serve" is the server; most other commands talk to it. They find it at --url (ADIT_URL), and take their API token from --token-file (ADIT_TOKEN_FILE), --token (ADIT_TOKEN), "adit login", or, for a server on this machine that the same user runs, from its data directory.

With --json, the answer is one JSON value on the standard output, and an error is one line of JSON on the standard error.

Exit codes: 0 Success, 1 Failure, 2 wrong usage, 3 Warning, 4 Canceled.`

// root is what stands behind "adit".
type root struct {
	Version versionFlag `name:"version" help:"Show the version."`
	commands
}

// commands is the table of commands.
type commands struct {
	Serve        serveCmd        `cmd:"" help:"Run the server."`
	Node         nodeCmd         `cmd:"" help:"DICOM nodes: the servers and folders that studies come from and go to."`
	Search       search.Cmd      `cmd:"" help:"Search a server for studies, or for the series or instances of one."`
	Download     downloadCmd     `cmd:"" help:"Take a study of a server away, as a zip."`
	Transfer     transferCmd     `cmd:"" help:"Move studies from a server to a server or folder."`
	Mass         massCmd         `cmd:"" help:"Mass transfers: what a server has of some days, by filters, counted and moved."`
	Recurrence   recurrenceCmd   `cmd:"" help:"Mass transfers and batch queries that run again and again."`
	Batch        batchCmd        `cmd:"" help:"Files of rows: ask servers what they describe, and move the studies that they name."`
	Job          jobs.Cmd        `cmd:"" help:"Jobs and their tasks."`
	Task         taskCmd         `cmd:"" help:"The tasks of jobs, one by one."`
	Schedule     hours.Cmd       `cmd:"" help:"When a server may be used, and by how many associations."`
	Cluster      cluster.Cmd     `cmd:"" help:"The members of a cluster: their certificates, what they do, and what they may."`
	Receiver     receiverCmd     `cmd:"" help:"The DICOM receiver: callers that it refused."`
	Quarantine   quarantineCmd   `cmd:"" help:"Instances that servers sent unrequested."`
	User         userCmd         `cmd:"" help:"Users, and people who ask for an account."`
	Group        groupCmd        `cmd:"" help:"Groups: their members, permissions, and access to DICOM nodes."`
	Login        loginCmd        `cmd:"" help:"Log in: the commands then work without a token."`
	Logout       logoutCmd       `cmd:"" help:"Log out: revoke the login's token."`
	Token        tokenCmd        `cmd:"" help:"API tokens."`
	Project      projectCmd      `cmd:"" help:"Projects: their keys and de-identification profiles, and the patients behind the pseudonyms."`
	Profile      profileCmd      `cmd:"" help:"De-identification profiles."`
	Audit        auditlog.Cmd    `cmd:"" help:"The audit log: who did what, and whether the log is complete."`
	Settings     settingsCmd     `cmd:"" help:"Settings of the site: maintenance, locked sections, retention times."`
	Announcement announcementCmd `cmd:"" help:"The announcement that everybody who is logged in sees."`
	Mail         mailCmd         `cmd:"" help:"Mails: send one to everybody, and see what was sent."`
	Stats        statsCmd        `cmd:"" help:"Statistics of your jobs; for staff, of all jobs."`
	Housekeeping houseKeepingCmd `cmd:"" help:"Warnings about disks and folders, and the daily clean-up."`
	Deid         deidentify.Cmd  `cmd:"" help:"De-identify DICOM files."`
	Echo         scu.EchoCmd     `cmd:"" help:"Check whether a DICOM server answers (C-ECHO)." group:"dimse"`
	Find         scu.FindCmd     `cmd:"" help:"Query a DICOM server (C-FIND)." group:"dimse"`
	Get          scu.GetCmd      `cmd:"" help:"Retrieve from a DICOM server (C-GET)." group:"dimse"`
	Store        scu.StoreCmd    `cmd:"" help:"Send files to a DICOM server (C-STORE)." group:"dimse"`
	Help         helpCmd         `cmd:"" help:"Show the help of a command."`
	Completion   completion.Cmd  `cmd:"" help:"Print a script that lets a shell complete adit's commands."`
	Version      versionCmd      `cmd:"" help:"Show the version."`
	Licenses     licensesCmd     `cmd:"" help:"Show the licences of ADIT and of everything linked into it."`
	Render       renderCmd       `cmd:"" hidden:"" help:"Make pictures of frames; adit serve runs it."`
}

// Main runs a command line and returns the exit code. Where a shell asks for completions, it gives these. The first
// SIGINT or SIGTERM ends a command in order, a second one at once.
func Main(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(command.ExitFailure) // what must not be lost is in the database, whose server dies with us
	}()
	if line, asked := os.LookupEnv("COMP_LINE"); asked {
		return complete(ctx, os.Stdout, line, os.Getenv("COMP_POINT"))
	}
	return run(ctx, args, command.Streams{Out: os.Stdout, Err: os.Stderr})
}

func run(ctx context.Context, args []string, io command.Streams) int {
	table, row := tableFor(args[1:])
	parser, err := newParser(io, table, row, kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(io))
	if err != nil {
		panic(err) // the table of commands is wrong
	}
	parsed, err := parser.Parse(dcmtkFlags(args[1:]))
	if errors.Is(err, errHelped) {
		return command.ExitSuccess
	}
	said := saying{io: io, name: "adit", json: slices.Contains(args, "--json")}
	if failed, ok := errors.AsType[*kong.ParseError](err); ok {
		said.name = nameOf(failed.Context)
		return said.usage(err)
	}
	if err != nil {
		return said.usage(err)
	}
	said.name, said.command = nameOf(parsed), parsed.Selected()
	return said.report(parsed.Run())
}

func newParser(io command.Streams, table any, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(table, append(
		options, command.WholeNumbers(), kong.Name("adit"), kong.Description(description),
		kong.Writers(io.Out, io.Err), kong.Help(help),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ExplicitGroups(
			[]kong.Group{{Key: "dimse", Title: "DICOM tools (host and port, never a configured name)"}},
		),
		kong.Vars{
			"data_dir": command.DefaultDataDir(), "demo_dir": command.DemoDataDir(),
			"deid_profile": deid.DefaultProfile, "deid_profiles": strings.Join(deid.BuiltinProfiles(), ", "),
		},
	)...)
}

// nameOf returns the name of the command that was given, with those that it is below of.
func nameOf(ctx *kong.Context) string {
	names := []string{"adit"}
	if ctx != nil {
		for _, p := range ctx.Path {
			if p.Command != nil {
				names = append(names, p.Command.Name)
			}
		}
	}
	return strings.Join(names, " ")
}

// errHelped ends the parser when --help or --version has been answered.
var errHelped = errors.New("help was given")

func help(o kong.HelpOptions, ctx *kong.Context) error {
	return cmp.Or(kong.DefaultHelpPrinter(o, ctx), errHelped)
}

// tableFor returns the table of commands; if the arguments name one an empty table, and that command as its row: kong
// reads all of a table before it looks at the arguments, which takes five times as long as all else that a program does
// to start.
func tableFor(args []string) (table any, row kong.Option) {
	for f := range reflect.TypeFor[commands]().Fields() {
		if len(args) > 0 && strings.ToLower(f.Name) == args[0] {
			return new(struct{}),
				kong.DynamicCommand(args[0], f.Tag.Get("help"), f.Tag.Get("group"), reflect.New(f.Type).Interface())
		}
	}
	return new(root), kong.OptionFunc(func(*kong.Kong) error { return nil })
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
