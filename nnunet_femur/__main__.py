"""Run `nnfemur` as `python -m nnunet_femur`."""

from nnunet_femur.cli import main

if __name__ == "__main__":
    main()
