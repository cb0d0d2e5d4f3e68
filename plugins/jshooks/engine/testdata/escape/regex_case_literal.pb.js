// why: the same in the source, where nothing can stop it
// expect: problem too complex
/(?=a)[\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W][\W]/i;
