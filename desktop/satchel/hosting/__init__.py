"""The service's other half: packing and deploying it, and a whole cloud of one's own on this machine.

Nothing here imports boto3 or ministack before it is needed, so that `satchel --help` stays quick.
"""
