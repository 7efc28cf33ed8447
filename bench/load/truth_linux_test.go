package load

const roleEnv = "SONDE_TEST_ROLE"

// roles are what this binary is when a test starts it again.
var roles = map[string]func(){}
