int nobody_calls(void);
int nobody_calls(void) { return 0; }
