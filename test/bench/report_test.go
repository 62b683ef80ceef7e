// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	require.InDelta(t, 3, median([]float64{9, 1, 3}), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 3, 2}), 0)
}

// Ratios are taken within each round, so that a machine that gets slower meanwhile doesn't turn them.
func TestRatioIsPaired(t *testing.T) {
	at := func(perSecond int, cpu time.Duration) sample {
		return sample{images: perSecond, wall: time.Second, cpu: cpu * time.Duration(perSecond)}
	}
	r := result{pairs: []pair{
		{at(200, 2*time.Millisecond), at(100, 8*time.Millisecond)},
		{at(20, 20*time.Millisecond), at(10, 40*time.Millisecond)},
		{at(90, 3*time.Millisecond), at(30, 9*time.Millisecond)},
	}}
	require.InDelta(t, 2, r.ratio(), 1e-9)
	require.InDelta(t, 1.0/3, r.cpuRatio(), 1e-9)
	require.InDelta(t, 3, r.ourCPU(), 1e-9)
}

func TestReplaceTable(t *testing.T) {
	text := "before\n" + tableBegin + "old\n" + tableEnd + "after\n"
	replaced, err := replaceTable(text, "new\n")
	require.NoError(t, err)
	require.Equal(t, "before\n"+tableBegin+"\nnew\n\n"+tableEnd+"after\n", replaced)
	again, err := replaceTable(replaced, "new\n")
	require.NoError(t, err)
	require.Equal(t, replaced, again)
	_, err = replaceTable("no marks", "new")
	require.Error(t, err)
}

func TestDocumentTakesTable(t *testing.T) {
	text, err := os.ReadFile("../../" + document)
	require.NoError(t, err)
	_, err = replaceTable(string(text), "new")
	require.NoError(t, err)
}

func TestParseStat(t *testing.T) {
	s, err := parseStat("123 (a) b (c) S 45 123 123 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 5 6\n")
	require.NoError(t, err)
	require.Equal(t, stat{45, 700 * time.Millisecond}, s)
	_, err = parseStat("123 (a) S 45")
	require.Error(t, err)
}

// What a process and its children use is seen while they live and after they have ended.
func TestSpent(t *testing.T) {
	cmd := exec.Command("sh", "-c", `sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo done; read wait`)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 5)
	_, err = out.Read(line)
	require.NoError(t, err)
	cpu, err := spent(cmd.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	_ = cmd.Wait() // read fails at the end of its input
	total := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	require.Positive(t, cpu)
	require.InDelta(t, total.Seconds(), cpu.Seconds(), 0.1)
}

func TestChoose(t *testing.T) {
	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, len(comparisons))
	two, err := choose("tiny,scp")
	require.NoError(t, err)
	require.Equal(t, "tiny", two[0].name)
	require.Equal(t, "scp", two[1].name)
	_, err = choose("tiny,none")
	require.ErrorContains(t, err, "the rows are scu")
}
