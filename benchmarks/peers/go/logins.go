package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

const (
	mostLogins = 4096
	// A shelf has the companies of 1,024 numbers; eight digits fill 97,657 shelves.
	shelfBits = 10
	shelves   = 100_000_000>>shelfBits + 1
)

var bucketName = []byte("logins")

// span is the first and the last login, in milliseconds since 1970.
type span struct{ first, last int64 }

type company struct {
	cvr uint32
	span
}

// newLogin is a login that is not on the disk yet.
type newLogin struct {
	cvr     uint32
	time    int64
	durable chan error
}

// logins are in a bbolt file, and all of them in memory for reads, each shelf in ascending order. One goroutine writes:
// all logins that wait are one transaction, and the memory changes after it, so that no reader sees what a power cut
// could take back.
type logins struct {
	database *bbolt.DB
	queue    chan newLogin
	lock     sync.RWMutex
	shelf    [shelves][]company
}

// openLogins opens the file and reads all of it; an empty one takes the companies of a list first.
func openLogins(path, companies string) (*logins, error) {
	options := bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30}
	database, err := bbolt.Open(path, 0o600, &options)
	if err != nil {
		return nil, err
	}
	l := &logins{database: database, queue: make(chan newLogin, mostLogins)}
	err = database.Update(func(transaction *bbolt.Tx) error {
		bucket, err := transaction.CreateBucketIfNotExists(bucketName)
		if err != nil {
			return err
		}
		if first, _ := bucket.Cursor().First(); first == nil && companies != "" {
			return fill(bucket, companies)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = database.View(func(transaction *bbolt.Tx) error {
		return transaction.Bucket(bucketName).ForEach(func(key, value []byte) error {
			first, last := binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])
			l.put(company{binary.BigEndian.Uint32(key), span{int64(first), int64(last)}})
			return nil
		})
	})
	go l.write()
	return l, err
}

// fill reads lines of cvr,first,last.
func fill(bucket *bbolt.Bucket, companies string) error {
	file, err := os.Open(companies)
	if err != nil {
		return err
	}
	defer file.Close()
	bucket.FillPercent = 0.9 // the numbers ascend
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var c company
		if _, err := fmt.Sscanf(lines.Text(), "%d,%d,%d", &c.cvr, &c.first, &c.last); err != nil {
			return fmt.Errorf("not cvr,first,last: %q: %w", lines.Text(), err)
		}
		if err := save(bucket, c); err != nil {
			return err
		}
	}
	return lines.Err()
}

func save(bucket *bbolt.Bucket, c company) error {
	key := binary.BigEndian.AppendUint32(nil, c.cvr)
	value := binary.BigEndian.AppendUint64(nil, uint64(c.first))
	return bucket.Put(key, binary.BigEndian.AppendUint64(value, uint64(c.last)))
}

func (l *logins) find(cvr uint32) (span, bool) {
	l.lock.RLock()
	defer l.lock.RUnlock()
	shelf := l.shelf[cvr>>shelfBits]
	at, found := place(shelf, cvr)
	if !found {
		return span{}, false
	}
	return shelf[at].span, true
}

// place is where on its shelf a company is, or belongs.
func place(shelf []company, cvr uint32) (int, bool) {
	return slices.BinarySearchFunc(shelf, cvr, func(c company, cvr uint32) int { return cmp.Compare(c.cvr, cvr) })
}

func (l *logins) put(c company) {
	shelf := &l.shelf[c.cvr>>shelfBits]
	at, found := place(*shelf, c.cvr)
	if found {
		(*shelf)[at] = c
	} else {
		*shelf = slices.Insert(*shelf, at, c)
	}
}

// page fills companies, up to its capacity, with those from this number on.
func (l *logins) page(from uint32, companies []company) []company {
	companies = companies[:0]
	l.lock.RLock()
	defer l.lock.RUnlock()
	for number := from >> shelfBits; number < shelves && len(companies) < cap(companies); number++ {
		shelf := l.shelf[number]
		if number == from>>shelfBits {
			at, _ := place(shelf, from)
			shelf = shelf[at:]
		}
		companies = append(companies, shelf[:min(len(shelf), cap(companies)-len(companies))]...)
	}
	return companies
}

// record returns when the login is on the disk, or when it cannot be.
func (l *logins) record(cvr uint32, time int64) error {
	durable := make(chan error, 1)
	l.queue <- newLogin{cvr, time, durable}
	return <-durable
}

func (l *logins) write() {
	batch := make([]newLogin, 0, mostLogins)
	for login := range l.queue {
		batch = append(batch[:0], login)
		for len(l.queue) > 0 && len(batch) < mostLogins { // this goroutine alone takes from it
			batch = append(batch, <-l.queue)
		}
		err := l.commit(batch)
		if err != nil {
			log.Printf("%d logins are not written: %v", len(batch), err)
		}
		for _, login := range batch {
			login.durable <- err
		}
	}
}

func (l *logins) commit(batch []newLogin) error {
	slices.SortStableFunc(batch, func(a, b newLogin) int { return cmp.Compare(a.cvr, b.cvr) })
	changed := make([]company, 0, len(batch))
	for _, login := range batch {
		if end := len(changed); end == 0 || changed[end-1].cvr != login.cvr {
			before, found := l.find(login.cvr)
			if !found {
				before = span{login.time, login.time}
			}
			changed = append(changed, company{login.cvr, before})
		}
		c := &changed[len(changed)-1]
		c.first, c.last = min(c.first, login.time), max(c.last, login.time)
	}
	err := l.database.Update(func(transaction *bbolt.Tx) error {
		bucket := transaction.Bucket(bucketName)
		for _, c := range changed {
			if err := save(bucket, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	for _, c := range changed {
		l.put(c)
	}
	return nil
}
