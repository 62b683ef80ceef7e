// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/pacs"
)

// Progress is how far a running task is. It is read while the task runs.
type Progress struct {
	Expected, Received, Delivered atomic.Int32 // instances
	Bytes                         atomic.Int64 // delivered
}

const (
	inPlaceTries = 3                // without one new instance, before the attempt is given up
	inPlacePause = time.Second      // doubles
	flushGrace   = 10 * time.Second // for the ledger after a task was stopped
)

// run is one run of a task: from its claim to its outcome.
type run struct {
	e        *Engine
	held     Held
	task     db.Task
	job      Job
	src, dst DICOMNode
	reins    *Reins
	park     <-chan struct{} // of the reins
	progress *Progress

	source    *source
	lanes     []*source  // further associations to the source, each over a slot of its own
	storeSlot *pacs.Slot // of the association over which C-MOVEs of the source bring their objects; nil: none is taken
	sink      sink
	slots     []*pacs.Slot
	ledger    *ledger
	inv       *inventory
	proposed  map[string][]string // by SOP class: the transfer syntaxes that the destination was asked for
	accepted  map[string][]string // of them, those that it takes
	stored    map[string][]string // by SOP class: the transfer syntaxes in which the source says that it holds it
	breadths  map[string]breadth  // by SOP class: of what the destination is asked for

	loadedAt time.Time // by the database's clock for schedules
	loadedOn time.Time // by this process's

	methods   []string     // of the retrieve, in the order in which they are tried
	vain      atomic.Int32 // times that late objects of a C-MOVE were waited for and none came
	preferred int          // the first of them that has not proven useless
	using     int          // the one in use
	deid      *deidentification
	delivery  *Delivery // what C-MOVEs bring; nil without that method

	verification *verification // all that is left to do; nil: there is more
	direct       int           // instances that the source sent to the destination by itself
	mustVerify   bool          // whatever the destination's settings say
	skipped      int           // instances that the destination held already
	untold       bool          // it could not be told which ones it holds already
	nearline     bool          // the study has to be brought back by its source
	before       int32         // instances received by earlier runs

	queue   chan *parcel
	workers sync.WaitGroup
	sending sync.WaitGroup // parcels between the queue and their receipt

	instances *instances
	loaded    bool // what earlier runs brought is known

	reached atomic.Bool  // something came by C-MOVE
	crept   atomic.Int64 // bytes that went on within a limit in MB/s
	wrote   atomic.Bool  // this run has written to the ledger

	heardSource, heardDestination atomic.Bool // it answered something
	down                          *down       // what ended the run is a server's refusal
	booked                        sync.Map    // servers, by ID, that something was seen to get through at, and which that mattered to
	booking                       sync.WaitGroup

	mu       sync.Mutex
	works    map[string]bool // retrieve methods that were answered, or brought something
	sinkErr  error
	barred   string // what is to be said of calls of the source that the receiver turned away
	warnings []string
	remarks  []string // that are no warnings
}

// Run moves a claimed task's study as far as it can, and gives the outcome that End writes down. It ends soon after the
// context does, whose cause is one of ErrCanceled, ErrParked and ErrFenced, and stops as the reins tell it to.
func (e *Engine) Run(ctx context.Context, held Held, reins *Reins, progress *Progress) Outcome {
	r := &run{
		e: e, held: held, reins: reins, park: reins.park, progress: progress, instances: newInstances("", nil), breadths: map[string]breadth{},
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer reins.Drop()
	kept := false
	defer func() {
		if !kept {
			r.giveBack(ctx)
		}
	}()
	go r.heedHalt(ctx, cancel)
	err := r.do(ctx, cancel)
	r.booking.Wait()
	if cause := stopped(ctx); cause != nil {
		err = cause
	}
	o := r.outcome(err)
	kept = !errors.Is(err, ErrFenced) // End gives them back
	return o
}

func (r *run) do(ctx context.Context, cancel context.CancelCauseFunc) (err error) {
	if err := r.load(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil && stopped(ctx) == nil {
			r.down = r.downOf(err)
		}
		r.endAssociations()
	}()
	if err := r.takeSlots(); err != nil {
		return err
	}
	if err := r.heedDestination(ctx); err != nil {
		return err
	}
	if r.verification != nil {
		return r.check(ctx)
	}
	defer func() { r.source.release(ctx) }()
	defer r.closeLanes(ctx)
	if r.inv, err = r.lookUpPatiently(ctx); err != nil {
		return err
	}
	r.recallHeard()
	if err := r.openDeid(ctx); err != nil {
		return err
	}
	r.ruleOut()
	r.countExpected()
	if err := r.heedDuplicates(ctx); err != nil {
		return err
	}
	if err := r.countBefore(ctx); err != nil {
		return err
	}
	if err := r.recordBegin(ctx); err != nil {
		return err
	}
	if err := r.moveDirectly(ctx); err != nil {
		return err
	}
	r.letGo(ctx)
	r.moreSlots(ctx)
	defer r.sink.close(ctx)
	if err := r.prepareSink(ctx); err != nil {
		return err
	}
	stopWorkers := sync.OnceFunc(r.startWorkers(ctx, cancel))
	defer stopWorkers()
	closeDelivery := sync.OnceFunc(r.openDelivery(ctx))
	defer closeDelivery()
	if err := r.move(ctx); err != nil {
		return err
	}
	closeDelivery()
	stopWorkers()
	if cause := stopped(ctx); cause != nil { // the ledger could not be written
		return cause
	}
	if err := r.countFiles(ctx); err != nil {
		return err
	}
	return r.verify(ctx)
}

// openDelivery lets the receiver know of this run, if it may need to. The function returned ends that.
func (r *run) openDelivery(ctx context.Context) (end func()) {
	if !slices.Contains(r.methods, MethodMove) {
		return func() {}
	}
	r.delivery = newDelivery(ctx, r)
	r.e.inbox.Open(r.delivery)
	return func() {
		r.e.inbox.Close(r.delivery)
		r.delivery.close()
	}
}

// chooseMethods finds the retrieve methods that the source and this process have in common.
func (r *run) chooseMethods() error {
	r.methods = methodsOf(r.src.Server)
	if !r.e.inbox.Listens() {
		r.methods = slices.DeleteFunc(r.methods, func(m string) bool { return m == MethodMove })
		if len(r.methods) == 0 {
			return permanent("The source %s can only be read by C-MOVE, and this ADIT has no receiver; start adit serve with --dicom-listen.", r.src.Name)
		}
	}
	if len(r.methods) == 0 {
		return permanent("The source %s supports neither C-GET nor C-MOVE; correct its settings.", r.src.Name)
	}
	return nil
}

// load reads what the task is about, and asks again whether its owner may do it.
func (r *run) load(ctx context.Context) error {
	row, err := r.e.q.LoadRun(ctx, db.LoadRunParams{TaskID: r.held.TaskID, Token: &r.held.Token})
	if err != nil {
		return err
	}
	r.task, r.loadedAt, r.loadedOn = row.Task, row.Now, time.Now()
	r.job = Job{Job: row.Job, Owner: row.Owner, Source: row.Source, Destination: row.Destination, Project: row.Project}
	for i, id := range row.SlotIds {
		r.slots = append(r.slots, r.e.door.Slot(id, row.SlotServers[i]))
	}
	if err := r.readLedger(ctx, row.Delivered); err != nil {
		return err
	}
	nodes, err := r.e.dicomNodes(ctx, *row.Job.SourceID, *row.Job.DestinationID)
	if err != nil {
		return err
	}
	r.src, r.dst = nodes[*row.Job.SourceID], nodes[*row.Job.DestinationID]
	action := transferAction(r.src.ID, r.dst.ID, !pseudonymized(r.task, r.job.Job), false)
	action.Project = r.job.ProjectID
	if err := r.e.people.Check(ctx, row.Job.OwnerID, action); err != nil {
		return err
	}
	if err := r.chooseMethods(); err != nil || !row.Verifying {
		return err
	}
	return r.openVerification(ctx)
}

// readLedger reads what earlier runs of the task delivered, and what they missed. It comes before anything that may end the run, so that
// what is known is told whatever happens.
func (r *run) readLedger(ctx context.Context, written bool) error {
	var rows []db.DeliveredRow
	if written {
		var err error
		if rows, err = r.e.q.Delivered(ctx, r.held.TaskID); err != nil {
			return err
		}
	}
	r.instances = newInstances(r.task.StudyInstanceUid, r.task.SeriesInstanceUids)
	r.instances.book(rows)
	if r.task.Expected > 0 {
		series, err := r.e.taskSeries(ctx, r.held.TaskID)
		if err != nil {
			return err
		}
		for _, s := range series {
			r.instances.remember(s.SeriesInstanceUID, s.Missing)
		}
	}
	if len(r.task.Rejected) > len("{}") {
		if err := json.Unmarshal(r.task.Rejected, &r.instances.rejected); err != nil {
			return fmt.Errorf("what the source has rejected of task %d is damaged: %w", r.held.TaskID, err)
		}
	}
	for _, d := range rows {
		r.progress.Bytes.Add(d.Bytes)
	}
	r.before = int32(len(rows))
	r.progress.Delivered.Store(r.before)
	r.progress.Received.Store(r.before)
	r.progress.Expected.Store(r.task.Expected)
	r.loaded = true
	return nil
}

// takeSlots finds the slots that came with the claim, and opens source and sink over them.
func (r *run) takeSlots() error {
	r.source = r.newSource(nil)
	var store *serverSink
	if r.dst.Server != nil {
		store = &serverSink{peer: r.e.peer(r.dst), pace: r.e.paces.server(r.dst.ID), crept: &r.crept}
		r.sink = store
	} else {
		r.sink = &folderSink{e: r.e, held: r.held, name: r.dst.Name, folder: r.dst.Folder, job: r.job, room: r.e.room(r.dst)}
	}
	for _, s := range r.slots {
		switch {
		case s.ServerID == r.src.ID && r.source.slot != nil:
			r.storeSlot = s
		case s.ServerID == r.src.ID:
			r.source.slot = s
		case store != nil && s.ServerID == r.dst.ID:
			store.slots = append(store.slots, s)
		}
	}
	if r.source.slot == nil && r.verification == nil || store != nil && len(store.slots) == 0 {
		return ErrFenced // its slots are gone, so the lease is
	}
	return nil
}

// worthAnAssociation is how many instances make a further store association pay.
const worthAnAssociation = 8

// moreSlots asks for further store associations, as far as the destination's settings and other tasks allow.
func (r *run) moreSlots(ctx context.Context) {
	store, ok := r.sink.(*serverSink)
	if !ok {
		r.sink.(*folderSink).modalities = r.inv.allModalities()
		return
	}
	wanted := min(int(r.dst.Server.AssociationsPerTask), 1+int(r.progress.Expected.Load()-r.progress.Delivered.Load())/worthAnAssociation) - 1
	slots, err := r.e.door.MoreTaskSlots(ctx, r.held.Claimed, r.dst.ID, wanted)
	if err != nil {
		r.e.log.WarnContext(ctx, "no further store associations", "task", r.held.TaskID, "err", err)
		return
	}
	store.slots = append(store.slots, slots...)
	r.slots = append(r.slots, slots...)
}

// endAssociations ends what is still open.
func (r *run) endAssociations() {
	for _, s := range r.slots {
		s.End()
	}
}

// giveBack ends every association and gives the slots back, where the end of the lease does not.
func (r *run) giveBack(ctx context.Context) {
	for _, s := range r.slots {
		r.gaveBack(ctx, s.Close(ctx))
	}
}

// gaveBack takes down that a slot could not be given back, if there is an error.
func (r *run) gaveBack(ctx context.Context, err error) {
	if err != nil {
		r.e.log.WarnContext(ctx, "a slot could not be given back now; it goes with the lease", "task", r.held.TaskID, "err", err)
	}
}

// startWorkers starts the ledger and one goroutine per worker of the sink. The function returned ends them in order.
func (r *run) startWorkers(ctx context.Context, cancel context.CancelCauseFunc) func() {
	ledgerCtx, stopLedger := context.WithCancelCause(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, func() { // what was acknowledged is written down even after a stop, if it may be
		if cause := context.Cause(ctx); errors.Is(cause, ErrFenced) {
			stopLedger(cause)
		} else {
			time.AfterFunc(flushGrace, func() { stopLedger(cause) })
		}
	})
	r.ledger = r.openLedger(ledgerCtx, cancel)
	r.queue = make(chan *parcel, r.sink.workers())
	entering, enough := context.WithCancel(ctx)
	r.workers.Go(func() { r.work(ctx, ledgerCtx, 0) })
	for i := 1; i < r.sink.workers(); i++ {
		r.workers.Go(func() { r.workBeside(ctx, entering, ledgerCtx, i) })
	}
	return func() {
		close(r.queue)
		enough()
		r.workers.Wait()
		r.ledger.close()
		release()
		stopLedger(nil)
	}
}

// passes is how often the source's list is asked again at the end, for what has come meanwhile, where there is a reason to.
const passes = 2

// move retrieves every series, and at the end what has come meanwhile.
func (r *run) move(ctx context.Context) error {
	if err := r.readNotes(ctx); err != nil {
		return err
	}
	r.sweep(ctx)
	for pass := 0; ; pass++ {
		for _, s := range r.inv.series {
			if isClosed(r.park) {
				return ErrParked
			}
			if r.wanting(s) {
				r.closeLanes(ctx) // the careful way may take long
			}
			if err := r.moveSeries(ctx, s); err != nil {
				return err
			}
		}
		if pass == passes {
			r.warn("The study still grows at the source; retry later for what comes after.")
			break
		}
		if r.settle(); pass == 0 && !r.doubts() {
			r.closeLanes(ctx)
			break
		}
		more, err := r.newcomers(ctx)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		r.ruleOut()
		r.countExpected()
		if err := r.acceptNewClasses(ctx); err != nil {
			return err
		}
		if err := r.readNotes(ctx); err != nil {
			return err
		}
	}
	r.settle()
	if err := r.settleDisputes(ctx); err != nil {
		return err
	}
	return r.confirmHeld(ctx)
}

// settleDisputes asks for a series, and then for the study, as a whole once more where the source counts more than there is evidence of by
// name, or sent more than it lists and was not heard to the end: its lists may be cut short, and the retrieves that could have shown it were broken off. What comes is taken; what does not is for the
// verdict.
func (r *run) settleDisputes(ctx context.Context) error {
	for _, s := range r.inv.series {
		if !s.listed || short(s.counted, r.instances.known(s.uid)) == 0 && !r.instances.exceeds(s) {
			continue
		}
		s.again = true
		if err := r.moveSeries(ctx, s); err != nil {
			return err
		}
	}
	if r.inv.whole && (short(r.inv.counted, r.instances.known("")) > 0 || r.inv.unnamed > 0 || r.instances.unplaced() > 0) {
		r.inv.again = true
		r.expectAny()
		if err := r.acceptNewClasses(ctx); err != nil {
			return err
		}
		all := &seriesInventory{counted: r.inv.counted, kinds: r.inv.allClasses(), again: true}
		if err := r.moveSeries(ctx, all); err != nil {
			return err
		}
	}
	if len(r.instances.strays(r.inv)) == 0 {
		return nil
	}
	listed := len(r.inv.series)
	if err := r.heedStrays(ctx, r.inv); err != nil {
		return err
	}
	r.instances.list(r.inv)
	r.ruleOut()
	r.countExpected()
	if err := r.acceptNewClasses(ctx); err != nil {
		return err
	}
	for _, s := range r.inv.series[listed:] {
		if err := r.moveSeries(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// recallHeard takes up what earlier runs heard of series for which the list alone has to prove that nothing lacks. One of which something was
// delivered, and that nobody heard to the end, counts as broken off: its list may be cut short.
func (r *run) recallHeard() {
	for _, s := range r.inv.series {
		s.ended = slices.Contains(r.task.Heard, s.uid)
		s.broken = !s.ended && r.instances.deliveredOf(s.uid) > 0 && (!r.inv.whole || r.inv.counted < 0)
	}
}

// heard returns the series that the source was heard to the end of, in this run or before, and that it counts nothing of.
func (r *run) heard() []string {
	uids := append([]string{}, r.task.Heard...)
	if r.inv == nil {
		return uids
	}
	for _, s := range r.inv.series {
		if s.ended && s.counted < 0 {
			uids = union(uids, []string{s.uid})
		}
	}
	return uids
}

// expectAny lets series come that the source does not list: of the study's modalities.
func (r *run) expectAny() {
	kinds := dict.StorageClassesOf("")
	for _, modality := range r.inv.modalities {
		kinds = append(kinds, dict.StorageClassesOf(modality)...)
	}
	slices.Sort(kinds)
	r.inv.kinds = slices.Compact(kinds)
}

// acceptNewClasses negotiates again if newcomers have SOP classes or transfer syntaxes that the destination was not asked about.
func (r *run) acceptNewClasses(ctx context.Context) error {
	if covers(r.proposed, r.proposals()) {
		return nil
	}
	r.settle()
	return r.prepareSink(ctx)
}

// proposals gives what the destination is asked for: what the source says that it has, and what it sent and was not asked for.
func (r *run) proposals() map[string][]string {
	classes, held := r.inv.allClasses(), r.inv.heldSyntaxes()
	for _, class := range r.inv.silentClasses() {
		r.breadths[class] = max(r.breadths[class], usual)
	}
	for class, syntaxes := range r.instances.broughtSyntaxes() {
		if !slices.Contains(classes, class) {
			classes = append(classes, class)
		}
		held[class] = append(slices.Clone(syntaxes), held[class]...)
	}
	classes = slices.DeleteFunc(classes, r.neverTakes)
	return proposals(classes, held, r.breadths)
}

// prepareSink asks the destination in which transfer syntaxes it takes the objects. Nothing may be on its way.
func (r *run) prepareSink(ctx context.Context) error {
	if len(r.inv.series) == 0 && r.inv.unnamed > 0 {
		r.expectAny()
	}
	asked := r.proposals()
	if len(asked) == 0 {
		return nil // there is nothing to send
	}
	accepted, err := r.sink.prepare(ctx, asked)
	if err != nil {
		return r.unusable(err)
	}
	r.proposed, r.accepted, r.stored = asked, accepted, r.inv.heldSyntaxes()
	return nil
}

func (r *run) countExpected() {
	n := -r.instances.ruledOut()
	for _, s := range r.inv.series {
		n += r.instances.known(s.uid)
		if !s.listed {
			n += short(s.counted, r.instances.known(s.uid))
		}
	}
	r.progress.Expected.Store(int32(max(n, 0)))
}

// settle waits until every parcel that was received is delivered or has failed.
func (r *run) settle() { r.sending.Wait() }

// confirmHeld asks the destination for the instances of which it said that it holds them already (status 0111), or acknowledged another
// UID. A destination that can't be asked is believed about the former, with a warning: it would answer so for ever.
func (r *run) confirmHeld(ctx context.Context) error {
	held := r.instances.held()
	if r.dst.Server == nil || len(held) == 0 {
		return nil
	}
	askable := r.dst.Server.StudyRootFind || r.dst.Server.PatientRootFind
	found, absent := map[string]bool{}, ", but doesn't list it"
	if askable {
		var err error
		if found, err = r.holdsAlready(ctx, held); err != nil {
			absent = fmt.Sprintf(", which could not be confirmed: %s", err)
		}
	}
	believed := 0
	for uid, f := range held {
		renamed := f.status != dimse.DuplicateSOPInstance
		if !askable && renamed {
			absent = ", and can't be asked whether it has it, since it doesn't support C-FIND"
		}
		if !found[uid] && (askable || renamed) {
			says := "the destination says that it holds this image already"
			if renamed {
				says = "the destination acknowledged another SOP Instance UID for this image"
			}
			r.instances.unhold(uid, says+absent)
			continue
		}
		if !askable {
			believed++
		}
		if err := r.receipt(ctx, receipt{sopUID: uid, seriesUID: f.series, class: f.class, status: f.status}); err != nil {
			return err
		}
	}
	if believed > 0 {
		r.warn(fmt.Sprintf("Unverified: the destination says of %s that it holds them already, and can't be asked, since it doesn't support C-FIND.", images(believed)))
	}
	return nil
}

// holdsAlready asks the destination for each of them, under the UIDs and the patient that were sent. All associations to it are released
// first.
func (r *run) holdsAlready(ctx context.Context, held map[string]fact) (map[string]bool, error) {
	r.sink.close(ctx)
	asker := r.asker()
	defer asker.release(ctx)
	found := map[string]bool{}
	for uid, f := range held {
		sent := r.sentUID(uid)
		id := asker.seriesQuery("IMAGE", presenceKeys, r.sentPatient(), r.sentUID(r.inv.study), r.sentUID(f.series))
		id.Set(dict.SOPInstanceUID, sent)
		for ds, err := range asker.find(ctx, id) {
			if err != nil {
				return nil, err
			}
			found[uid] = found[uid] || ds.String(dict.SOPInstanceUID) == sent
		}
	}
	return found, nil
}

// warn notes something that people have to know.
func (r *run) warn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.warnings, text) {
		r.warnings = append(r.warnings, text)
	}
}

func (inv *inventory) allModalities() []string {
	all := inv.modalities
	for _, s := range inv.series {
		if s.modality != "" {
			all = append(all, s.modality)
		}
	}
	return all
}
