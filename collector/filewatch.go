package collector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// FileSD follows target files as they change.
type FileSD struct {
	Paths  []string    // files or glob patterns
	Logger *zap.Logger // default none

	files map[string]targetFile // by path, as last read; used by Read and Run alone

	mu  sync.Mutex
	err error
}

// targetFile is one file as last read: what it said when it was last good, and what is wrong with it since.
type targetFile struct {
	modified  time.Time
	size      int64
	endpoints []Endpoint
	err       error
}

// Read reads every file once. An error names all files that are wrong; the endpoints are those of the good ones, or
// of what a now wrong one said when it was last good. It must not run at the same time as Run.
func (f *FileSD) Read() ([]Endpoint, error) {
	_, endpoints, err := f.poll()
	return endpoints, err
}

// Err says what is wrong with the files now: nil if nothing is.
func (f *FileSD) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Run reads the files at once and then at every tick, and calls apply with all endpoints at first and whenever a file
// has changed, until ctx is done. A file that breaks keeps what it said when it was last good; one that is named
// outright and vanishes does too, since editors replace files that way; one that no longer matches a pattern is gone.
// A change is noticed by time or size.
func (f *FileSD) Run(ctx context.Context, tick <-chan time.Time, apply func([]Endpoint)) error {
	for first := true; ; first = false {
		before := f.Err()
		changed, endpoints, err := f.poll()
		if (changed || first) && endpoints != nil {
			apply(endpoints)
		}
		f.report(before, err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
	}
}

func (f *FileSD) report(before, now error) {
	if f.Logger == nil {
		return
	}
	switch {
	case now != nil && (before == nil || before.Error() != now.Error()):
		f.Logger.Error("target files are wrong, their last good content holds", zap.Error(now))
	case now == nil && before != nil:
		f.Logger.Info("target files are right again")
	}
}

// poll reads what has changed. The endpoints are nil where the files contradict each other: then nothing of the
// change can hold.
func (f *FileSD) poll() (changed bool, endpoints []Endpoint, err error) {
	if f.files == nil {
		f.files = map[string]targetFile{}
	}
	paths, errs := f.match()
	for path := range f.files {
		if !slices.Contains(paths, path) {
			delete(f.files, path)
			changed = true
		}
	}
	for _, path := range paths {
		file, read := f.files[path].refresh(path)
		f.files[path] = file
		changed = changed || read
		if file.err != nil {
			errs = append(errs, file.err)
		}
	}
	endpoints = []Endpoint{}
	for _, path := range slices.Sorted(maps.Keys(f.files)) {
		endpoints = append(endpoints, f.files[path].endpoints...)
	}
	if err := checkDistinct(endpoints); err != nil {
		errs = append(errs, fmt.Errorf("read targets %s: %w", strings.Join(paths, ", "), err))
		endpoints = nil
	}
	err = errors.Join(errs...)
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
	return changed, endpoints, err
}

// match is the paths to read: those named outright whether they exist or not, and those that match a pattern.
func (f *FileSD) match() (paths []string, errs []error) {
	for _, pattern := range f.Paths {
		if !strings.ContainsAny(pattern, `*?[\`) {
			paths = append(paths, pattern)
			continue
		}
		matches, err := filepath.Glob(pattern)
		if err != nil {
			errs = append(errs, fmt.Errorf("target files %q: %w", pattern, err))
		}
		paths = append(paths, matches...)
	}
	slices.Sort(paths)
	return slices.Compact(paths), errs
}

// refresh reads the file if its time or size has changed, and says whether it did.
func (file targetFile) refresh(path string) (targetFile, bool) {
	info, err := os.Stat(path)
	if err != nil {
		file.modified, file.err = time.Time{}, fmt.Errorf("read targets: %w", err)
		return file, false
	}
	if !file.modified.IsZero() && info.ModTime().Equal(file.modified) && info.Size() == file.size {
		return file, false
	}
	endpoints, err := ReadTargets(path)
	file.modified, file.size, file.err = info.ModTime(), info.Size(), err
	if err == nil {
		file.endpoints = endpoints
	}
	return file, err == nil
}
