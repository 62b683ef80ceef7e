// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// TestLiveCrowd: 200 who watch 20 running tasks see the end of each, in the database of another process; one who stops
// reading harms nobody.
func TestLiveCrowd(t *testing.T) {
	const crowd, tasks = 200, 20
	var studies []*phantom.Study
	order := transfer()
	for i := range tasks {
		studies = append(studies, phantom.New(uint64(700+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: fmt.Sprint("CROWD-", i)}, Series: []phantom.SeriesSpec{{Instances: 4, Rows: 16, Columns: 16}},
		}))
		order.Studies = append(order.Studies, client.NewStudy{StudyInstanceUID: studies[i].StudyInstanceUID})
	}
	source, err := pacs.Start(pacs.Config{AETitle: "SOURCE", Studies: studies})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, source.Close()) })
	s := newSite(t)
	s.addServer("PACS 1", "SOURCE", func(c *client.ServerSettings) { c.Port = source.Port() })
	_, err = s.client.Folders.Add(t.Context(), client.FolderSettings{Name: "PACS 2", Path: t.TempDir()})
	require.NoError(t, err)
	job, err := s.client.Jobs.Create(t.Context(), order, "")
	require.NoError(t, err)
	topics := []string{client.TopicOfJob(job.ID), client.TopicJobs}
	for task, err := range s.client.Tasks.List(t.Context(), job.ID, client.TaskFilter{}) {
		require.NoError(t, err)
		topics = append(topics, client.TopicOfTask(task.ID))
	}

	start := time.Now()
	deaf, _ := s.listen()
	if tcp, ok := deaf.ws.NetConn().(*net.TCPConn); ok {
		require.NoError(t, tcp.SetReadBuffer(4096))
	}
	deaf.send(client.LiveRequest{Subscribe: topics})
	listeners := make([]*listener, crowd)
	for i := range listeners {
		listeners[i], _ = s.listen()
		listeners[i].send(client.LiveRequest{Subscribe: topics})
	}
	for _, l := range listeners {
		for range topics {
			require.True(t, l.next().First)
		}
	}
	s.work()
	var all sync.WaitGroup
	ends := make([]map[string]string, crowd)
	most := make([]int, crowd)
	for i, l := range listeners {
		all.Go(func() { ends[i], most[i] = follow(l, len(topics)-1) })
	}
	all.Wait()
	for i := range ends {
		require.Len(t, ends[i], len(topics)-1)
		for topic, status := range ends[i] {
			require.Equal(t, client.Success, status, topic)
		}
		require.LessOrEqual(t, most[i], int(time.Since(start)/(250*time.Millisecond))+1, "four events a second and topic")
	}
}

// follow reads events until so many topics have told a final state, and returns those and how often the topic came that
// came most often.
func follow(l *listener, topics int) (final map[string]string, most int) {
	final = map[string]string{}
	count := map[string]int{}
	_ = l.ws.SetReadDeadline(time.Now().Add(deadline))
	for len(final) < topics {
		var e client.LiveEvent
		if l.ws.ReadJSON(&e) != nil {
			break
		}
		count[e.Topic]++
		most = max(most, count[e.Topic])
		switch {
		case e.Job != nil && client.Final(e.Job.Status):
			final[e.Topic] = e.Job.Status
		case e.Task != nil && client.Final(e.Task.Status):
			final[e.Topic] = e.Task.Status
		}
	}
	return final, most
}

// TestLiveDeaf: who reads nothing is told no more, and is cut off; what waits for them is bounded.
func TestLiveDeaf(t *testing.T) {
	s := newSite(t)
	l, _ := s.listen()
	// Each request is answered, and no answer is read.
	for i := range 5000 {
		err := l.ws.WriteJSON(client.LiveRequest{Unsubscribe: []string{"jobs"}, Subscribe: []string{fmt.Sprint("job:x", i)}})
		if err != nil {
			break
		}
	}
	require.Contains(t, []int{client.CloseTooMuch, websocket.CloseAbnormalClosure}, l.closed())
}
