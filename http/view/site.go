// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/housekeeping"
)

// Stats returns figures of jobs.
func Stats(s housekeeping.Stats) client.Stats {
	out := client.Stats{
		TimeZone: s.Zone.String(), Jobs: s.Jobs, Tasks: s.Tasks,
		Days: []client.DayMoved{}, Nodes: []client.NodeMoved{},
	}
	for _, d := range s.Days {
		out.Days = append(out.Days, client.DayMoved{Day: d.Day.Format(time.DateOnly), Moved: moved(d)})
	}
	for _, n := range s.Nodes {
		out.Nodes = append(out.Nodes, client.NodeMoved{Name: n.Name, From: moved(n.From), To: moved(n.To)})
	}
	return out
}

func moved(m housekeeping.Moved) client.Moved {
	return client.Moved{Tasks: m.Tasks, Failed: m.Failed, Images: m.Images, Bytes: m.Bytes}
}
