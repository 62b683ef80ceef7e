// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/client"
)

const (
	requestsRole   = "requests"      // measures authenticated requests
	requestCallers = 8               // connections at once
	requestTime    = 3 * time.Second // of a round
	requiredRate   = 2000            // requests per second
)

// requests measures how many lists of jobs an adit serve and its PostgreSQL, both on one core, give to callers with an
// API token who are on the others.
func requests(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("bench requests", flag.ContinueOnError)
	rounds := flags.Int("rounds", fullRounds, "`N` rounds per row")
	adit := flags.String("adit", "bin/adit", "the `BINARY` that is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	in := &room{ctx: ctx}
	defer func() {
		if left := in.leave(); err == nil {
			err = left
		}
	}()
	if in.dir, err = in.tempDir(); err != nil {
		return err
	}
	binary, err := filepath.Abs(*adit)
	if err != nil {
		return err
	}
	a, token, err := oneCore(in, binary) //nolint:contextcheck // the room has the context
	if err != nil {
		return err
	}
	fmt.Fprintf(out,
		"\n`GET /api/v1/jobs` with an API token, adit and its PostgreSQL on one core, %d connections, medians of %d "+
			"rounds:\n\n",
		requestCallers, *rounds,
	)
	fmt.Fprintln(out, "| Jobs on the page | Requests/s | CPU, ms | Required | Met |\n|--:|--:|--:|---|---|")
	made := 0
	for _, jobs := range []int{0, 1, 50} {
		for ; made < jobs; made++ {
			_, err := a.Jobs.Create(ctx, client.NewJob{
				Kind: client.SelectiveTransfer, Source: "source", Destination: "disk",
				Studies: []client.NewStudy{{StudyInstanceUID: "1.2.3"}},
			}, "")
			if err != nil {
				return err
			}
		}
		var rates, cpu []float64
		for range *rounds {
			before, err := spent(a.pid)
			if err != nil {
				return err
			}
			n, took, err := a.askForJobs(ctx, token)
			if err != nil {
				return err
			}
			after, err := spent(a.pid)
			if err != nil {
				return err
			}
			rates = append(rates, n/took.Seconds())
			cpu = append(cpu, (after-before).Seconds()*1000/n)
		}
		required, met := "", ""
		if jobs <= 1 {
			required, met = fmt.Sprintf("≥ %d", requiredRate), "no"
			if median(rates) >= requiredRate {
				met = "yes"
			}
		}
		fmt.Fprintf(out, "| %d | %.0f | %.3f | %s | %s |\n", jobs, median(rates), median(cpu), required, met)
	}
	return nil
}

// listServer is an adit serve, with where its list of jobs is.
type listServer struct {
	*client.Client
	url string
	pid int
}

// oneCore starts an adit serve on the first core, with nodes that nothing runs between.
func oneCore(in *room, binary string) (*listServer, string, error) {
	if _, err := exec.LookPath("taskset"); err != nil {
		return nil, "", fmt.Errorf("taskset, of util-linux, is needed to keep ADIT on one core: %w", err)
	}
	dir := filepath.Join(in.dir, "data")
	s, err := in.start(program{[]string{"GOMAXPROCS=1"}, "taskset", []string{
		"-c", "0", binary, "serve", "--data-dir", dir, "--listen",
		loopback + ":0", "--dicom-listen", "", "--log-level", "warn",
	}}, func(s *server) bool { return readyLine.MatchString(s.said.String()) })
	if err != nil {
		return nil, "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	if err != nil {
		return nil, "", err
	}
	token := strings.TrimSpace(string(text))
	a := &listServer{pid: s.pid, url: readyLine.FindStringSubmatch(s.said.String())[1] + "/api/v1/jobs"}
	if a.Client, err = client.New(
		readyLine.FindStringSubmatch(s.said.String())[1], client.WithToken(token),
	); err != nil {
		return nil, "", err
	}
	_, err = a.Servers.Add(in.ctx, client.ServerSettings{
		Name: "source", AETitle: "SOURCE", Host: loopback, Port: 1,
		Supports: client.Supports{StudyRootFind: true, StudyRootGet: true},
	})
	if err == nil {
		_, err = a.Servers.Pause(in.ctx, "source")
	}
	if err == nil {
		_, err = a.Folders.Add(in.ctx, client.FolderSettings{Name: "disk", Path: in.dir})
	}
	return a, token, err
}

// askForJobs asks for a while and gives how many lists came, and how long it took.
func (a *listServer) askForJobs(ctx context.Context, token string) (lists float64, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime+patience)
	defer cancel()
	transport := &http.Transport{MaxIdleConnsPerHost: requestCallers}
	defer transport.CloseIdleConnections()
	caller := &http.Client{Transport: transport}
	once := func() error {
		rq, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, http.NoBody)
		if err != nil {
			return err
		}
		rq.Header.Set("Authorization", "Token "+token)
		rsp, err := caller.Do(rq)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, rsp.Body)
		_ = rsp.Body.Close() // it was read to its end
		if err == nil && rsp.StatusCode != http.StatusOK {
			err = fmt.Errorf("the list of jobs: %s", rsp.Status)
		}
		return err
	}
	var n atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, requestCallers)
	start := time.Now()
	for i := range requestCallers {
		all.Go(func() {
			for time.Since(start) < requestTime {
				if errs[i] = once(); errs[i] != nil {
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	took = time.Since(start)
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return 0, 0, errs[i]
	}
	return float64(n.Load()), took, nil
}
