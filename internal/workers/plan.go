package workers

// Auto returns how many workers total items need, each taking one descriptor, if a process has fdBudget descriptors for
// them: at least 1, and 0 if no number will do because the budget is below 1.
func Auto(total, fdBudget int) int {
	if fdBudget < 1 {
		return 0
	}
	return max(ceil(total, fdBudget), 1)
}

// fdPerWorker are the descriptors that a worker takes in the process that starts it: three pipes, and its pidfd (pidfd_open(2)).
// For a moment it takes six more, which are in what every process keeps back.
const fdPerWorker = 4

// Most returns how many workers a process can start that has fdBudget descriptors for them.
func Most(fdBudget int) int { return max(fdBudget/fdPerWorker, 0) }

// Split divides total items among as few workers as possible, none having more than perWorker. The shares differ by 1 at
// most, the larger ones first. It returns none if there is nothing to divide or perWorker is below 1.
func Split(total, perWorker int) []int {
	if total < 1 || perWorker < 1 {
		return nil
	}
	shares := make([]int, ceil(total, perWorker))
	for i := range shares {
		shares[i] = total / len(shares)
		if i < total%len(shares) {
			shares[i]++
		}
	}
	return shares
}

// ceil divides and rounds up; a sum before the division could overflow.
func ceil(n, by int) int {
	q := n / by
	if n%by > 0 {
		q++
	}
	return q
}
