// Static data of a second file of the program in statics.cpp.
static int calls;
int zero_at_first;
int seven_at_first = 7;
static int* where = &seven_at_first;

int first_call_in_c(void);
int first_call_in_c(void) {
  static int here = 3;
  return calls++ == 0 && zero_at_first++ == 0 && (*where)++ == 7 && here++ == 3;
}
