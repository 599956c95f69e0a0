"""A worker that misbehaves on request, run by the pool's tests as `python -m unruly_worker`."""

import os
import time

from s1_eval.answers.worker import serve


def answer(question):
    match question["do"]:
        case "echo":
            return {"said": question["say"], "worker": os.getpid()}
        case "compute":
            while True:
                pass
        case "wait":
            time.sleep(60)
        case "allocate":
            held = b"x" * (question["megabytes"] << 20)
            return {"held": len(held)}
        case "recurse":
            return answer(question)
        case "print":
            print("noise", flush=True)  # noqa: T201
            os.write(1, b"noise")
            return {"said": "clean"}
        case "raise":
            raise ValueError("what the model wrote")
        case "exit":
            os._exit(3)


if __name__ == "__main__":
    serve(answer)
