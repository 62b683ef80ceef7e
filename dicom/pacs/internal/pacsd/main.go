// SPDX-License-Identifier: AGPL-3.0-or-later

// Command pacsd runs a PACS of package pacs as a process of its own, for tests that kill other processes or measure
// their memory. It prints one line of JSON, {"addr": …, "control": …, "web": …}, and ends when its standard input does,
// and so with its parent. Package pacstest starts it and speaks to it: GET /log and GET /wait?stores=N (or sent, gets,
// moves, finds, requests, open) give a pacs.Log, PUT /misbehave takes a pacs.Misbehave, POST /studies a list of
// pacstest.Study.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pacsd:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	var cfg pacs.Config
	flags := flag.NewFlagSet("pacsd", flag.ContinueOnError)
	flags.StringVar(&cfg.Listen, "listen", "", "host:port to listen on; a free port of loopback if empty")
	flags.StringVar(&cfg.AETitle, "ae-title", "", "AE title; any is taken if empty")
	flags.StringVar(&cfg.Folder, "folder", "", "where files of stored instances go")
	flags.Int64Var(&cfg.Memory, "memory", 0, "bytes of stored instances to keep in memory")
	flags.IntVar(&cfg.MaxAssociations, "max-associations", 0, "associations at once; 100 if 0")
	flags.Func(
		"move-destination", "AE=host:port to which C-MOVE sends; may be given several times",
		func(v string) error {
			aeTitle, addr, ok := strings.Cut(v, "=")
			if !ok {
				return errors.New("it must be AE=host:port")
			}
			if cfg.MoveDestinations == nil {
				cfg.MoveDestinations = map[string]string{}
			}
			cfg.MoveDestinations[aeTitle] = addr
			return nil
		},
	)
	demo := flags.Bool("demo", false, "hold the studies of the demo")
	web := flags.Bool("web", false, "serve DICOMweb, too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *demo {
		cfg.Studies = phantom.DemoStudies()
	}
	if *web {
		cfg.Web = &pacs.WebConfig{}
	}
	p, err := pacs.Start(cfg)
	if err != nil {
		return err
	}
	control, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{Handler: handler(p), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(control) }() // ends with the process
	if err := json.NewEncoder(stdout).Encode(
		map[string]string{"addr": p.Addr(), "control": control.Addr().String(), "web": p.WebURL()},
	); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, stdin) // until the parent has gone
	return p.Close()
}

// study is pacstest.Study.
type study struct {
	Seed uint64
	Spec phantom.StudySpec
}

func handler(p *pacs.PACS) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /log", func(w http.ResponseWriter, _ *http.Request) { writeLog(w, p) })
	mux.HandleFunc("GET /wait", func(w http.ResponseWriter, r *http.Request) {
		if err := wait(r.Context(), p.Recorder(), r.FormValue); err != nil {
			http.Error(w, err.Error(), http.StatusRequestTimeout)
			return
		}
		writeLog(w, p)
	})
	mux.HandleFunc("PUT /misbehave", func(w http.ResponseWriter, r *http.Request) {
		var m pacs.Misbehave
		if decode(w, r, &m) {
			p.SetMisbehave(m)
		}
	})
	mux.HandleFunc("POST /studies", func(w http.ResponseWriter, r *http.Request) {
		var list []study
		if decode(w, r, &list) {
			for _, s := range list {
				p.AddStudies(phantom.New(s.Seed, s.Spec))
			}
		}
	})
	return mux
}

func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func writeLog(w http.ResponseWriter, p *pacs.PACS) {
	b, err := json.Marshal(p.Recorder().Log()) //nolint:musttag // Go speaks to Go
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the reader has gone: nobody to tell
}

// wait waits for each count that is asked for: open for exactly so many, the others for at least.
func wait(ctx context.Context, r *pacs.Recorder, asked func(string) string) error {
	for name, f := range map[string]func(context.Context, int) error{
		"stores": r.WaitStores, "sent": r.WaitSent, "gets": r.WaitGets,
		"moves": r.WaitMoves, "finds": r.WaitFinds, "open": r.WaitOpen, "requests": r.WaitRequests,
	} {
		if asked(name) == "" {
			continue
		}
		n, err := strconv.Atoi(asked(name))
		if err != nil {
			return err
		}
		if err := f(ctx, n); err != nil {
			return err
		}
	}
	return nil
}
