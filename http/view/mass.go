// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/mass"
	"github.com/adit-go/adit/internal/words"
)

// MassFilters returns filters.
func MassFilters(filters mass.Filters) []client.MassFilter {
	out := make([]client.MassFilter, len(filters))
	for i, f := range filters {
		out[i] = client.MassFilter(f)
	}
	return out
}

// MassTransfer returns what a mass transfer looks for and has found.
func MassTransfer(t mass.Transfer) client.MassTransfer {
	c := t.Count
	out := client.MassTransfer{
		StartDate: words.Day(t.FirstDay), EndDate: words.Day(t.LastDay), Partitions: client.Daily,
		Filters: MassFilters(t.Filters), DryRun: t.DryRun,
		Found: client.MassCount{
			Patients: c.Patients, Studies: c.Studies, Series: c.Series, Instances: c.Instances, Uncounted: c.Uncounted,
		},
		Looked: client.MassTasks{
			All: int(c.Looked), Success: int(c.LookedSuccess), Warning: int(c.LookedWarning), Failure: int(c.LookedFailure),
		},
		Moved: client.MassTasks{
			All: int(c.Moved), Success: int(c.MovedSuccess), Warning: int(c.MovedWarning), Failure: int(c.MovedFailure),
		},
	}
	if t.Weekly {
		out.Partitions = client.Weekly
	}
	return out
}

// MassPartition returns a partition of a mass transfer.
func MassPartition(p mass.Partition) client.MassPartition {
	return client.MassPartition{
		TaskID: p.ID, Seq: int(p.Seq), From: words.Day(p.FirstDay), To: words.Day(p.LastDay), Status: p.Status,
		Message: p.Message, Searched: int(p.Searched), Studies: int(p.Studies), Series: int(p.Series), Instances: p.Instances,
	}
}

// MassVolume returns a series that a mass transfer has found.
func MassVolume(v mass.Volume) client.MassVolume {
	of := v.Volume
	out := client.MassVolume{
		ID: of.ID, TaskID: base.IDOf(of.TaskID), Partition: v.Partition(), Status: v.Status, PatientID: of.PatientID,
		AccessionNumber: of.AccessionNumber, StudyInstanceUID: of.StudyInstanceUid, SeriesInstanceUID: of.SeriesInstanceUid,
		Modality: of.Modality, StudyDescription: of.StudyDescription, SeriesDescription: of.SeriesDescription,
		StudyDate: of.StudyDate, StudyTime: of.StudyTime, InstitutionName: of.InstitutionName, Delivered: int(v.Delivered),
	}
	if of.SeriesNumber != nil {
		out.SeriesNumber = new(int(*of.SeriesNumber))
	}
	if of.Instances >= 0 {
		out.Instances = new(int(of.Instances))
	}
	return out
}
